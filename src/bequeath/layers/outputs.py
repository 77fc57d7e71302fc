"""How alike the outputs of each block are before and after: debiased linear CKA."""

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
from bequeath.models.blocks import outputs_of, pooled
from bequeath.study.findings.plain import plain

MOST = 500
"""Held-out samples at most: all pairs of them are compared."""
_GROUPS = 10


def similarities(pair: Pair, tick: Tick) -> dict[str, Any]:
    """Debiased linear CKA of each block's outputs, in the mean over positions, on the same held-out samples.

    Returns
    -------
    dict
        ``rows`` by block: value, interval, number of samples, and the ``reason`` where there is no value.
    """
    rng = np.random.default_rng(pair.seed)
    some = np.sort(rng.permutation(len(pair.held_out))[:MOST])
    found = [_outputs(pair, model, some, tick) for model in (pair.before, pair.after)]
    groups = np.array_split(rng.permutation(len(some)), min(_GROUPS, len(some)))
    rows = {}
    for block in pair.blocks:
        outputs = [one[block.name] for one in found if block.name in one]
        if len(outputs) < len(found):
            rows[block.name] = _none("its module is never called")
        elif not all(np.isfinite(one).all() for one in outputs):
            rows[block.name] = _none("its outputs are not finite")
        elif len(some) - max(map(len, groups)) < LEAST:
            rows[block.name] = _none(f"{len(some)} held-out samples are too few")
        else:
            first, second = (gram(one) for one in outputs)
            rows[block.name] = _row(cka_estimate(first, second, groups))
    return {"rows": rows, "samples": len(some)}


def _row(estimate: Estimate) -> dict[str, Any]:
    row: dict[str, Any] = plain(estimate)
    reason = None if row["mean"] is not None else "the outputs of one model show no structure above noise"
    return row | {"reason": reason}


def _none(reason: str) -> dict[str, Any]:
    return {"mean": None, "low": None, "high": None, "n": 0, "reason": reason}


def _outputs(pair: Pair, model: nn.Module, some: NDArray[np.int64], tick: Tick) -> dict[str, NDArray[Any]]:
    """Outputs of each block that is called: (samples, features)."""
    rows: dict[str, list[NDArray[Any]]] = {}
    size = pair.batch_size
    with outputs_of(model, pair.blocks) as given, torch.inference_mode():
        for first in range(0, len(some), size):
            given.clear()
            inputs = pair.held_out.batch(some[first : first + size])
            attended = None if isinstance(inputs, torch.Tensor) else inputs.get("attention_mask")
            call(model, inputs)
            for name, output in given.items():
                rows.setdefault(name, []).append(pooled(output, attended).numpy())
            tick(len(some[first : first + size]))
    return {name: np.concatenate(parts) for name, parts in rows.items()}
