"""Gradients of the loss at the model before, for each block, with true and with shuffled labels."""

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
# Samples in one forward pass, whose activations are in memory.
_PASS = 16


def batches(samples: int, seed: int) -> list[NDArray[np.int64]]:
    """Up to 8 batches of up to 64 of `samples` samples, in random order; at least two batches."""
    order = np.random.default_rng(seed).permutation(samples)[: _BATCH * _BATCHES]
    return np.array_split(order, max(2, min(_BATCHES, len(order) // 2)))


def gradients(pair: Pair, tick: Tick) -> dict[str, Any]:
    """Relative gradient norms of all blocks and of the head.

    The loss is the mean cross-entropy over a batch of training samples. The model before is in eval mode, so BatchNorm
    uses its trained statistics and dropout is off. Its head fits the classes: its own, or a linear probe.

    Parameters
    ----------
    pair : Pair
    tick : callable
        Called with the number of samples done since the last call.

    Returns
    -------
    dict
        ``rows``: for each block, and for the head under its path, ``value`` with its interval and ``part``, its share
        of the sum over all blocks (None for the head); ``shuffled`` and ``part_shuffled`` are the same with shuffled
        labels. ``batches`` and ``samples``: their numbers.

    Raises
    ------
    BequeathError
        If no block gets a gradient, or a gradient is not finite.
    """
    parts = batches(len(pair.training), pair.seed)
    labels = pair.outputs("before", pair.training.labels)
    shuffled = np.random.default_rng(pair.seed + 1).permutation(labels)
    head = Block(pair.head, (pair.head,), _head_parameters(pair), (), 0)
    blocks = (*pair.blocks, head)
    sizes = np.array([float(weights_of(pair.before, block).norm()) for block in blocks])
    ratios = {}
    for name, outputs in (("true", labels), ("shuffled", shuffled)):
        rows = []
        for part in parts:
            rows.append(_norms(pair, blocks, part, outputs))
            tick(len(part))
        norms = np.array(rows)
        if not np.isfinite(norms).all():
            raise BequeathError(f"BEFORE: gradients of {name} labels are not finite; check its weights")
        if not norms[:, :-1].any():
            raise BequeathError(
                "BEFORE: the loss has no gradient in any block; give a model that can be trained"
            )
        ratios[name] = relative_gradients(norms, sizes)
    values = {name: relative_gradient_estimates(ratio) for name, ratio in ratios.items()}
    shares = {name: parts_of_sum(ratio[:, :-1]) for name, ratio in ratios.items()}
    by_block = {
        block.name: {
            "value": values["true"][i],
            "shuffled": values["shuffled"][i],
            "part": shares["true"][i] if block is not head else None,
            "part_shuffled": shares["shuffled"][i] if block is not head else None,
        }
        for i, block in enumerate(blocks)
    }
    return {
        "rows": plain(by_block),
        "batches": len(parts),
        "samples": sum(map(len, parts)),
    }


def _head_parameters(pair: Pair) -> tuple[str, ...]:
    head = pair.before.get_submodule(pair.head)
    return tuple(f"{pair.head}.{name}" for name, _ in head.named_parameters())


def _norms(
    pair: Pair, blocks: tuple[Block, ...], batch: NDArray[np.int64], labels: NDArray[np.int64]
) -> list[float]:
    """The norm of the gradient of one batch's mean loss, for each block."""
    model, own = pair.before, dict(pair.before.named_parameters())
    names = [name for block in blocks for name in block.parameters if own[name].is_floating_point()]
    model.requires_grad_(True)
    sums: dict[str, torch.Tensor] = {}
    try:
        for part in np.array_split(batch, -(-len(batch) // _PASS)):
            out = logits(model, pair.training.batch(part))
            target = torch.as_tensor(labels[part], device=out.device)
            loss = nn.functional.cross_entropy(out, target, reduction="sum") / len(batch)
            if not loss.requires_grad:
                continue
            partial = torch.autograd.grad(loss, [own[name] for name in names], allow_unused=True)
            for name, value in zip(names, partial, strict=True):
                if value is not None:
                    sums[name] = sums[name] + value if name in sums else value
    finally:
        model.requires_grad_(False)
    squares = {name: float(value.double().pow(2).sum()) for name, value in sums.items()}
    return [sum(squares.get(name, 0.0) for name in block.parameters) ** 0.5 for block in blocks]
