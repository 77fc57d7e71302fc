"""How similar a run's checkpoints are to its last one, between chance level and reliability.

Source: docs/method.md, section "Claims" (F3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge.calibration import interval
from bequeath.knowledge.crossings import Array, crossed, strength
from bequeath.knowledge.permutation import swap_test
from bequeath.knowledge.statistics import Estimate, resampled_means
from bequeath.printable import one_line

# Corrected similarity to the last checkpoint at which a run counts as half way.
HALF_WAY = 0.5


@dataclass(frozen=True, eq=False)
class Approach:
    """Similarity of a run's checkpoints to its last one. With several seeds, an axis of seeds comes first.

    Attributes
    ----------
    steps : ndarray
        Training step of each checkpoint, ascending.
    observed : ndarray
        (samples, checkpoints): weighted Jaccard similarity to the last checkpoint, in [0, 1]. With two readings of each
        checkpoint, one reading of the one is compared with the other reading of the other.
    floor : ndarray
        (samples, checkpoints): mean similarity to the last checkpoint's interactions on the other samples.
    ceiling : ndarray
        (samples, 1): similarity of two readings of the last checkpoint; 1 if it was read once.
    """

    steps: NDArray[Any]
    observed: Array
    floor: Array
    ceiling: Array

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Approach]) -> Approach:
        """Join the runs of several seeds, on the same steps and samples."""
        names = ("observed", "floor", "ceiling")
        return cls(seeds[0].steps, *(np.stack([getattr(run, name) for run in seeds]) for name in names))

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """Observed similarity, floor and ceiling."""
        return self.observed, self.floor, self.ceiling

    def _estimates(self, figures: Array) -> list[Estimate]:
        """Estimates from (1 + resamples, figures): row 0 holds the data's own figures."""
        n, seeds = self.observed.shape[-2], len(self.observed) if self.observed.ndim == 3 else 1
        return [Estimate(float(column[0]), *interval(column[1:], n), n, seeds) for column in figures.T]

    def corrected(self) -> list[Estimate]:
        """Corrected similarity at each checkpoint: 0 at the floor, 1 at the ceiling; higher is more similar."""
        return self._estimates(_corrected(*resampled_means(*self.parts)))

    def levels(self) -> tuple[list[Estimate], list[Estimate], Estimate]:
        """Observed similarity at each checkpoint, floor at each checkpoint, and the ceiling."""
        observed, floor, ceiling = (self._estimates(means) for means in resampled_means(*self.parts))
        return observed, floor, ceiling[0]

    def area(self) -> Estimate:
        """Area under the corrected similarity over log(1 + step), divided by the range of log(1 + step).

        A larger area means that the run is similar to its last checkpoint earlier.
        """
        return self._estimates(self._area(*resampled_means(*self.parts))[:, None])[0]

    def _area(self, observed: Array, floor: Array, ceiling: Array) -> Array:
        x = np.log1p(self.steps.astype(np.float64))
        return np.asarray(np.trapezoid(_corrected(observed, floor, ceiling), x, axis=-1) / (x[-1] - x[0]))

    def first_step(self, level: float = HALF_WAY) -> int | None:
        """Step of the first checkpoint whose corrected similarity reaches a level; None if no checkpoint does."""
        passed = _corrected(*(means[:1] for means in resampled_means(*self.parts)))[0] >= level
        return int(self.steps[int(passed.nonzero()[0][0])]) if passed.any() else None

    def first_passage(self, level: float = HALF_WAY) -> Estimate:
        """Step at which the corrected similarity first reaches a level, interpolated in log(1 + step)."""
        curves = _corrected(*resampled_means(*self.parts))
        return self._estimates(passage(self.steps, curves, level)[:, None])[0]


def _corrected(observed: Array, floor: Array, ceiling: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((observed - floor) / (ceiling - floor))


def approach(first: Tensor, second: Tensor, steps: Sequence[int], orders: Tensor, most: int) -> Approach:
    """Similarity of a run's checkpoints to its last one, from two readings of each checkpoint.

    Parameters
    ----------
    first, second : Tensor
        Interactions (checkpoints, samples, 2, subsets); the same tensor if the checkpoints were read once.
    steps : sequence of int
        Training steps of the checkpoints, ascending.
    orders : Tensor
        Number of players in each subset, int64, (subsets,).
    most : int
        The largest order.

    Returns
    -------
    Approach
    """
    once = first is second
    pairings = [(first, second)] if once else [(first, second), (second, first)]
    samples = first.shape[1]
    is_other = ~np.eye(samples, dtype=bool)
    observed, floor = [], []
    for checkpoint in range(len(first)):
        similar = np.mean([_similar(x[checkpoint], y[-1], orders, most) for x, y in pairings], axis=0)
        observed.append(np.diagonal(similar))
        floor.append(np.where(is_other, similar, 0).sum(1) / (samples - 1) if samples > 1 else [np.nan])
    ceiling = np.ones(samples) if once else observed[-1]
    return Approach(
        np.asarray(steps, dtype=np.int64), np.stack(observed, -1), np.stack(floor, -1), ceiling[:, None]
    )


def _similar(a: Tensor, b: Tensor, orders: Tensor, most: int) -> Array:
    """Weighted Jaccard similarity of every pair of samples, (samples, samples); 1 if both have no strength."""
    common = crossed(a, b, orders, most).sum(-1)
    union = strength(a, orders, most).sum(-1)[:, None] + strength(b, orders, most).sum(-1)[None] - common
    return np.asarray(np.where(union > 0, common / np.where(union > 0, union, 1.0), 1.0))


def passage(steps: NDArray[np.int64], curves: Array, level: float) -> Array:
    """The step at which each curve first reaches a level; between checkpoints, linear in log(1 + step).

    Parameters
    ----------
    steps : ndarray
        Ascending, shape (checkpoints,).
    curves : ndarray
        Shape (curves, checkpoints).
    level : float
        In the units of the curves.

    Returns
    -------
    ndarray
        Steps, shape (curves,). The first step for a curve that starts at or above the level; NaN for a curve that never
        reaches it.
    """
    x = np.log1p(steps.astype(np.float64))
    above = curves >= level
    after = above.argmax(1)
    rows, before = np.arange(len(curves)), np.maximum(after - 1, 0)
    low, high = curves[rows, before], curves[rows, after]
    part = np.where(high > low, (level - low) / np.where(high > low, high - low, 1.0), 1.0)
    between = np.expm1(x[before] + part * (x[after] - x[before]))
    return np.where(above.any(1), np.where(after == 0, float(steps[0]), between), np.nan)


def area_ahead(first: Approach, second: Approach) -> tuple[Estimate, float]:
    """Area of the first run minus area of the second, paired on samples (and seeds), and its p-value.

    Parameters
    ----------
    first, second : Approach
        Two runs on the same samples.

    Returns
    -------
    difference : Estimate
        Above 0: the first run is earlier.
    p : float
        Two-sided p-value of no difference: how often the difference is at least as large when the two runs are swapped
        at random for each sample.
    """
    means = resampled_means(*first.parts, *second.parts)
    difference = first._area(*means[:3]) - second._area(*means[3:])
    run, other = _on_common_steps(first, second)
    p = swap_test(lambda a, b: run._area(*a) - run._area(*b), run.parts, other.parts)
    return first._estimates(difference[:, None])[0], p


def _on_common_steps(first: Approach, second: Approach) -> tuple[Approach, Approach]:
    """Both runs on one grid of steps, so that their samples can be swapped.

    The grid is the union of both runs' checkpoints, each placed within its own range of log(1 + step).
    """
    if first.steps.tolist() == second.steps.tolist():
        return first, second
    places = [_places(run.steps) for run in (first, second)]
    grid = np.union1d(*places)
    steps = np.expm1(grid)

    def interpolated(values: Array, own: Array) -> Array:
        return np.asarray(np.apply_along_axis(lambda row: np.interp(grid, own, row), -1, values))

    first, second = (
        Approach(steps, interpolated(run.observed, own), interpolated(run.floor, own), run.ceiling)
        for run, own in zip((first, second), places, strict=True)
    )
    return first, second


def _places(steps: NDArray[Any]) -> Array:
    """Places of the checkpoints in log(1 + step): 0 for the first, 1 for the last."""
    x = np.log1p(steps.astype(np.float64))
    return np.asarray((x - x[0]) / (x[-1] - x[0]))


def passage_ratio(first: Approach, second: Approach, level: float = HALF_WAY) -> Estimate:
    """Steps that the second run needs to reach a level, divided by those of the first; paired on samples and seeds.

    Parameters
    ----------
    first, second : Approach
        Two runs on the same samples.
    level : float
        Corrected similarity to reach.

    Returns
    -------
    Estimate
        Above 1: the first run is faster. NaN if a run does not reach the level.
    """
    means = resampled_means(*first.parts, *second.parts)
    own = passage(first.steps, _corrected(*means[:3]), level)
    others = passage(second.steps, _corrected(*means[3:]), level)
    return first._estimates((others / own)[:, None])[0]
