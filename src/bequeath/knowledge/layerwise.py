"""Which blocks of a network had to change: relative gradient norms, changes of weights, and swaps of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bequeath.knowledge.jackknife import jackknife
from bequeath.knowledge.paired import paired_difference
from bequeath.knowledge.statistics import Estimate

Array = NDArray[np.float64]

MARGIN = 0.02
"""A model may be worse by this share of the samples and still count as good enough."""


def relative_gradients(gradients: ArrayLike, weights: ArrayLike) -> Array:
    """Norm of the gradient divided by norm of the weights, for each batch and block.

    Parameters
    ----------
    gradients : array_like
        Euclidean norms of the gradient of a batch's mean loss, (batches, blocks).
    weights : array_like
        Euclidean norms of the weights, (blocks,).

    Returns
    -------
    ndarray
        (batches, blocks), per unit of the learning rate: one step of gradient descent changes the weights of a block by
        this share times the learning rate. At least 0; NaN if all weights are 0.

    References
    ----------
    Lee, Chen, Tajwar, Kumar, Yao, Liang, Finn: Surgical fine-tuning improves adaptation to distribution shifts.
    ICLR 2023 (arXiv 2210.11466), section 5 (relative gradient norm, RGN).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.asarray(gradients, dtype=np.float64) / np.asarray(weights, dtype=np.float64)
    return np.where(np.isfinite(ratios), ratios, np.nan)


def relative_gradient_estimates(ratios: ArrayLike) -> list[Estimate]:
    """Mean ratio of each block over batches, with its 95% interval (jackknife over batches).

    Parameters
    ----------
    ratios : array_like
        From `relative_gradients`, of at least two batches.

    Returns
    -------
    list of Estimate
        One for each block.
    """
    return [_over_batches(column) for column in np.asarray(ratios, dtype=np.float64).T]


def parts_of_sum(ratios: ArrayLike) -> list[Estimate]:
    """Mean ratio of each block divided by the sum over blocks, with its 95% interval (jackknife over batches).

    The division removes the size of the loss, which changes all blocks alike. The chance level is the same part with
    shuffled labels, which shows what the architecture alone gives; equal blocks would have 1 / blocks.

    Parameters
    ----------
    ratios : array_like
        From `relative_gradients`, of at least two batches.

    Returns
    -------
    list of Estimate
        One for each block, 0 to 1.
    """
    values = np.asarray(ratios, dtype=np.float64)
    groups = [np.array([batch]) for batch in range(len(values))]

    def part(block: int) -> Estimate:
        def of_batches(batches: NDArray[np.int64]) -> float:
            means = values[batches].mean(0)
            total = np.nansum(means)
            return float(means[block] / total) if total > 0 else float("nan")

        value = of_batches(np.arange(len(values)))
        low, high = jackknife(of_batches, groups, value)
        return Estimate(value, max(low, 0.0), min(high, 1.0), len(values))

    return [part(block) for block in range(values.shape[1])]


def _over_batches(column: Array) -> Estimate:
    groups = [np.array([batch]) for batch in range(len(column))]
    value = float(column.mean())
    low, high = jackknife(lambda batches: float(column[batches].mean()), groups, value)
    return Estimate(value, max(low, 0.0), high, len(column))


def relative_change(before: ArrayLike, after: ArrayLike) -> float:
    """How far weights have moved: norm of the difference divided by the norm before.

    0: nothing has changed. 1: the change is as large as the weights were. NaN: all weights were 0.

    Parameters
    ----------
    before, after : array_like
        Weights, in one shape.

    Returns
    -------
    float
        At least 0.
    """
    first, second = (np.asarray(weights, dtype=np.float64).ravel() for weights in (before, after))
    size = float(np.linalg.norm(first))
    return float(np.linalg.norm(second - first)) / size if size > 0 else float("nan")


@dataclass(frozen=True)
class Swaps:
    """Effect on the accuracy of resetting blocks of the model after to their weights before.

    Attributes
    ----------
    alone : dict of str to Estimate
        For each block: accuracy with this block alone reset, minus the accuracy of the model after. The intervals hold
        together.
    up_to : dict of str to Estimate
        The same with all blocks up to this one reset, and with new heads. These intervals hold together, too.
    needed : tuple of str
        Blocks whose reset makes the model after clearly worse.
    frozen : str or None
        The last block such that resetting all blocks up to it loses at most the margin. None: not even the first one.
    """

    alone: Mapping[str, Estimate]
    up_to: Mapping[str, Estimate]
    needed: tuple[str, ...]
    frozen: str | None


def judge(
    after: ArrayLike,
    alone: Mapping[str, ArrayLike],
    after_new_head: ArrayLike,
    up_to: Mapping[str, ArrayLike],
    margin: float = MARGIN,
) -> Swaps:
    """Judge swaps of blocks on the same samples.

    Parameters
    ----------
    after : array_like
        1 where the model after is right, else 0: (samples,).
    alone : mapping of str to array_like
        The same with one block reset, in the order of the blocks.
    after_new_head : array_like
        The same for the model after with a newly fitted head.
    up_to : mapping of str to array_like
        The same with all blocks up to one reset and a newly fitted head. It is compared with `after_new_head`, so that
        only the blocks differ.
    margin : float
        Accuracy that may be lost, as a share of the samples.

    Returns
    -------
    Swaps
        `frozen` is the last block that meets the margin, even if an earlier one does not: a network with fewer frozen
        blocks can do all that one with more can.
    """
    changes = {name: paired_difference(rows, after, len(alone)) for name, rows in alone.items()}
    up_to_changes = {
        name: paired_difference(rows, after_new_head, len(up_to)) for name, rows in up_to.items()
    }
    needed = tuple(name for name, change in changes.items() if change.high < 0)
    kept = [
        name for name, change in up_to_changes.items() if change.mean >= -margin - 1e-12 and change.high >= 0
    ]
    return Swaps(changes, up_to_changes, needed, kept[-1] if kept else None)
