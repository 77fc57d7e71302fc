"""Gradients of the loss at the model before, block by block, with the labels as they are and in random order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bequeath.bars import Tick
from bequeath.errors import BequeathError
from bequeath.games.inputs import logits
from bequeath.knowledge.layerwise import parts_of_sum, relative_gradient_estimates, relative_gradients
from bequeath.layers.pair import Pair, weights_of
from bequeath.models.blocks import Block
from bequeath.study.findings.plain import plain

_BATCH, _BATCHES = 64, 8
# Samples whose activations are kept at a time.
_AT_ONCE = 16


def batches(samples: int, seed: int) -> list[NDArray[np.int64]]:
    """Up to 8 batches of up to 64 samples in random order; two at least."""
    order = np.random.default_rng(seed).permutation(samples)[: _BATCH * _BATCHES]
    return np.array_split(order, max(2, min(_BATCHES, len(order) // 2)))


def gradients(pair: Pair, tick: Tick) -> dict[str, Any]:
    """Relative gradient norms of all blocks and of the head.

    The loss is the mean cross-entropy over a batch of training samples, the model before in eval mode: BatchNorm as it
    was trained, no dropout. Its head is the one that fits the classes, its own or a linear probe.

    Returns
    -------
    dict
        By block, and ``head``: ``value`` with its interval and ``part`` of the sum of all blocks (the head left out),
        and both with ``shuffled`` labels; ``batches``, ``samples``.

    Raises
    ------
    BequeathError
        If no gradient comes to any block, or one is not finite.
    """
    parts = batches(len(pair.training), pair.seed)
    labels = pair.outputs("before", pair.training.labels)
    shuffled = np.random.default_rng(pair.seed + 1).permutation(labels)
    head = Block(pair.head, (pair.head,), _of_head(pair), (), 0)
    every = (*pair.blocks, head)
    sizes = np.array([float(weights_of(pair.before, block).norm()) for block in every])
    found = {}
    for name, given in (("true", labels), ("shuffled", shuffled)):
        rows = []
        for part in parts:
            rows.append(_norms(pair, every, part, given))
            tick(len(part))
        norms = np.array(rows)
        if not np.isfinite(norms).all():
            raise BequeathError(f"BEFORE: gradients of {name} labels are not finite; check its weights")
        if not norms[:, :-1].any():
            raise BequeathError(
                "BEFORE: the loss has no gradient in any block; give a model that can be trained"
            )
        found[name] = relative_gradients(norms, sizes)
    values = {name: relative_gradient_estimates(ratios) for name, ratios in found.items()}
    shares = {name: parts_of_sum(ratios[:, :-1]) for name, ratios in found.items()}
    by_block = {
        block.name: {
            "value": values["true"][place],
            "shuffled": values["shuffled"][place],
            "part": shares["true"][place] if block is not head else None,
            "part_shuffled": shares["shuffled"][place] if block is not head else None,
        }
        for place, block in enumerate(every)
    }
    return {
        "rows": plain(by_block),
        "batches": len(parts),
        "samples": sum(map(len, parts)),
    }


def _of_head(pair: Pair) -> tuple[str, ...]:
    head = pair.before.get_submodule(pair.head)
    return tuple(f"{pair.head}.{name}" for name, _ in head.named_parameters())


def _norms(
    pair: Pair, every: tuple[Block, ...], part: NDArray[np.int64], labels: NDArray[np.int64]
) -> list[float]:
    """Norms of the gradient of one batch's mean loss, of each block."""
    model, own = pair.before, dict(pair.before.named_parameters())
    names = [name for block in every for name in block.parameters if own[name].is_floating_point()]
    model.requires_grad_(True)
    sums: dict[str, torch.Tensor] = {}
    try:
        for some in np.array_split(part, -(-len(part) // _AT_ONCE)):
            out = logits(model, pair.training.batch(some))
            target = torch.as_tensor(labels[some], device=out.device)
            loss = nn.functional.cross_entropy(out, target, reduction="sum") / len(part)
            if not loss.requires_grad:
                continue
            given = torch.autograd.grad(loss, [own[name] for name in names], allow_unused=True)
            for name, value in zip(names, given, strict=True):
                if value is not None:
                    sums[name] = sums[name] + value if name in sums else value
    finally:
        model.requires_grad_(False)
    squares = {name: float(value.double().pow(2).sum()) for name, value in sums.items()}
    return [sum(squares.get(name, 0.0) for name in block.parameters) ** 0.5 for block in every]
