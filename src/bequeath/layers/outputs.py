"""Similarity of each block's outputs before and after: debiased linear CKA."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bequeath.bars import Tick
from bequeath.games.inputs import call
from bequeath.knowledge.similarity import LEAST, cka_estimate, gram
from bequeath.knowledge.statistics import Estimate
from bequeath.layers.pair import Pair
from bequeath.models.block_outputs import outputs_of, pooled
from bequeath.study.findings.plain import plain

MOST = 500
"""The largest number of held-out samples, since all pairs of them are compared."""
_GROUPS = 10


def similarities(pair: Pair, tick: Tick) -> dict[str, Any]:
    """Debiased linear CKA of each block's outputs, averaged over positions, on the same held-out samples.

    Parameters
    ----------
    pair : Pair
    tick : callable
        Called with the number of samples done since the last call.

    Returns
    -------
    dict
        ``rows``, by block: ``mean``, ``low``, ``high``, ``n``, and the ``reason`` if there is no value; ``samples``:
        the number of samples.
    """
    rng = np.random.default_rng(pair.seed)
    chosen = np.sort(rng.permutation(len(pair.held_out))[:MOST])
    of_models = [_outputs(pair, model, chosen, tick) for model in (pair.before, pair.after)]
    groups = np.array_split(rng.permutation(len(chosen)), min(_GROUPS, len(chosen)))
    rows = {}
    for block in pair.blocks:
        outputs = [of_model[block.name] for of_model in of_models if block.name in of_model]
        if len(outputs) < len(of_models):
            rows[block.name] = _no_value("its module is never called")
        elif not all(np.isfinite(values).all() for values in outputs):
            rows[block.name] = _no_value("its outputs are not finite")
        elif len(chosen) - max(map(len, groups)) < LEAST:
            rows[block.name] = _no_value(f"{len(chosen)} held-out samples are too few")
        else:
            before, after = (gram(values) for values in outputs)
            rows[block.name] = _row(cka_estimate(before, after, groups))
    return {"rows": rows, "samples": len(chosen)}


def _row(estimate: Estimate) -> dict[str, Any]:
    row: dict[str, Any] = plain(estimate)
    reason = None if row["mean"] is not None else "the outputs of one model show no structure above noise"
    return row | {"reason": reason}


def _no_value(reason: str) -> dict[str, Any]:
    return {"mean": None, "low": None, "high": None, "n": 0, "reason": reason}


def _outputs(pair: Pair, model: nn.Module, chosen: NDArray[np.int64], tick: Tick) -> dict[str, NDArray[Any]]:
    """By block that is called, its pooled outputs for some held-out samples: float32, (samples, features)."""
    rows: dict[str, list[NDArray[Any]]] = {}
    size = pair.batch_size
    with outputs_of(model, pair.blocks) as outputs, torch.inference_mode():
        for first in range(0, len(chosen), size):
            outputs.clear()
            inputs = pair.held_out.batch(chosen[first : first + size])
            attended = None if isinstance(inputs, torch.Tensor) else inputs.get("attention_mask")
            call(model, inputs)
            for name, output in outputs.items():
                rows.setdefault(name, []).append(pooled(output, attended).numpy())
            tick(len(chosen[first : first + size]))
    return {name: np.concatenate(parts) for name, parts in rows.items()}
