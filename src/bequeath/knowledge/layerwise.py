"""Which blocks of a network had to change: relative gradient norms, changes of weights, and what swaps say."""

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
"""Share of the samples by which a model may be worse and still do."""


def relative_gradients(gradients: ArrayLike, weights: ArrayLike) -> Array:
    """Norm of the gradient over norm of the weights, of each batch and block.

    Parameters
    ----------
    gradients : array_like
        Euclidean norms of the gradient of a batch's mean loss, (batches, blocks).
    weights : array_like
        Euclidean norms of the weights, (blocks,).

    Returns
    -------
    ndarray
        (batches, blocks), per unit of the learning rate: a step of gradient descent changes a block's weights by this
        share of them times the learning rate. 0 and more; NaN where all weights are 0.

    References
    ----------
    Lee, Chen, Tajwar, Kumar, Yao, Liang, Finn: Surgical fine-tuning improves adaptation to distribution shifts.
    ICLR 2023 (arXiv 2210.11466), section 5 (relative gradient norm, RGN).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(gradients, dtype=np.float64) / np.asarray(weights, dtype=np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def relative_gradient_estimates(ratios: ArrayLike) -> list[Estimate]:
    """Mean of each block's ratio over batches, with its 95% interval (jackknife over batches).

    Parameters
    ----------
    ratios : array_like
        From `relative_gradients`, two batches or more.
    """
    return [_over_batches(column) for column in np.asarray(ratios, dtype=np.float64).T]


def parts_of_sum(ratios: ArrayLike) -> list[Estimate]:
    """Each block's part of the sum of all blocks' mean ratios, 0 to 1, with its 95% interval (jackknife over batches).

    What the size of the loss does to all blocks alike is taken out: parts of the same sum with shuffled labels are what
    the network's form alone gives, 1 / blocks what equal blocks would.
    """
    values = np.asarray(ratios, dtype=np.float64)
    groups = [np.array([place]) for place in range(len(values))]

    def part(block: int) -> Estimate:
        def of(some: NDArray[np.int64]) -> float:
            means = values[some].mean(0)
            total = np.nansum(means)
            return float(means[block] / total) if total > 0 else float("nan")

        value = of(np.arange(len(values)))
        low, high = jackknife(of, groups, value)
        return Estimate(value, max(low, 0.0), min(high, 1.0), len(values))

    return [part(block) for block in range(values.shape[1])]


def _over_batches(column: Array) -> Estimate:
    groups = [np.array([place]) for place in range(len(column))]
    value = float(column.mean())
    low, high = jackknife(lambda some: float(column[some].mean()), groups, value)
    return Estimate(value, max(low, 0.0), high, len(column))


def relative_change(before: ArrayLike, after: ArrayLike) -> float:
    """How far weights have moved: norm of the difference over norm before.

    0 where nothing has changed, 1 where as much as all of them; NaN where all were 0.
    """
    first, second = (np.asarray(one, dtype=np.float64).ravel() for one in (before, after))
    size = float(np.linalg.norm(first))
    return float(np.linalg.norm(second - first)) / size if size > 0 else float("nan")


@dataclass(frozen=True)
class Swaps:
    """What putting blocks back does to the share of samples that are right.

    Attributes
    ----------
    alone : dict of str to Estimate
        Of each block: accuracy with it alone put back less that of the model after; the intervals hold together.
    up_to : dict of str to Estimate
        The same with all blocks up to this one put back, all heads fitted anew; these hold together, too.
    needed : tuple of str
        Blocks without whose change the model after is clearly worse.
    frozen : str or None
        The last block up to which all may be put back: less than the margin is lost. None: not even the first.
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
    """Judge swaps on the same samples.

    Parameters
    ----------
    after : array_like
        1 where the model after is right, else 0: (samples,).
    alone : mapping
        The same with one block put back, in the order of the blocks.
    after_new_head, up_to : array_like, mapping
        The same with the head fitted anew: of the model after, and with all blocks up to one put back. Both have such
        a head, so that blocks are compared, not heads.
    margin : float
        What may be lost, as a share of the samples.

    Returns
    -------
    Swaps
        `frozen` is the last block for which it holds, whatever those before it lose: what a network with more frozen
        blocks can do, one with fewer can, too.
    """
    one = {name: paired_difference(rows, after, len(alone)) for name, rows in alone.items()}
    several = {name: paired_difference(rows, after_new_head, len(up_to)) for name, rows in up_to.items()}
    needed = tuple(name for name, difference in one.items() if difference.high < 0)
    kept = [name for name, found in several.items() if found.mean >= -margin - 1e-12 and found.high >= 0]
    return Swaps(one, several, needed, kept[-1] if kept else None)
