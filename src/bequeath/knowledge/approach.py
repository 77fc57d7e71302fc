"""How near a run's checkpoints are to its own final knowledge, from chance to what can be read again (METHOD 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge.calibration import interval
from bequeath.knowledge.crossings import Array, crossed, strength
from bequeath.knowledge.statistics import Estimate, resampled_means, swap_test
from bequeath.printable import one_line

# Corrected similarity to the final knowledge at which a run is half way.
HALF_WAY = 0.5


@dataclass(frozen=True, eq=False)
class Approach:
    """Similarity of checkpoints to the run's last one; with an axis of seeds in front where there are several.

    Attributes
    ----------
    steps : ndarray
        Training step of each checkpoint, ascending.
    observed : ndarray
        (samples, checkpoints): weighted Jaccard similarity to the last checkpoint, in [0, 1], across two readings of
        each where there are two.
    floor : ndarray
        (samples, checkpoints): the same to the last checkpoint's interactions on the other samples, in the mean.
    ceiling : ndarray
        (samples, 1): of two readings of the last checkpoint; 1 where it was read once.
    """

    steps: NDArray[Any]
    observed: Array
    floor: Array
    ceiling: Array

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Approach]) -> Approach:
        """Those of several seeds as one."""
        parts = ("observed", "floor", "ceiling")
        return cls(seeds[0].steps, *(np.stack([getattr(one, part) for one in seeds]) for part in parts))

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """What curves are made of."""
        return self.observed, self.floor, self.ceiling

    def _estimates(self, curves: Array) -> list[Estimate]:
        """Of figures (1 + resamples, figures): the first row is the data's own."""
        return [
            Estimate(float(column[0]), *interval(column[1:], n), n, seeds)
            for (n, seeds) in [
                (self.observed.shape[-2], len(self.observed) if self.observed.ndim == 3 else 1)
            ]
            for column in curves.T
        ]

    def corrected(self) -> list[Estimate]:
        """Similarity at each checkpoint from floor (0) to ceiling (1)."""
        return self._estimates(_corrected(*resampled_means(*self.parts)))

    def levels(self) -> tuple[list[Estimate], list[Estimate], Estimate]:
        """Observed similarity and floor of each checkpoint, and the ceiling."""
        observed, floor, ceiling = (self._estimates(means) for means in resampled_means(*self.parts))
        return observed, floor, ceiling[0]

    def area(self) -> Estimate:
        """Area under corrected similarity over log(1 + step), divided by the range of the steps: more is earlier."""
        return self._estimates(self._area(*resampled_means(*self.parts))[:, None])[0]

    def _area(self, observed: Array, floor: Array, ceiling: Array) -> Array:
        x = np.log1p(self.steps.astype(np.float64))
        return np.asarray(np.trapezoid(_corrected(observed, floor, ceiling), x, axis=-1) / (x[-1] - x[0]))

    def first_step(self, level: float = HALF_WAY) -> int | None:
        """First checkpoint's step whose corrected similarity passes a level; None where none does."""
        passed = _corrected(*(means[:1] for means in resampled_means(*self.parts)))[0] >= level
        return int(self.steps[int(passed.nonzero()[0][0])]) if passed.any() else None

    def first_passage(self, level: float = HALF_WAY) -> Estimate:
        """Step at which the corrected similarity first passes a level, interpolated in log(1 + step)."""
        curves = _corrected(*resampled_means(*self.parts))
        return self._estimates(passage(self.steps, curves, level)[:, None])[0]


def _corrected(observed: Array, floor: Array, ceiling: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((observed - floor) / (ceiling - floor))


def approach(first: Tensor, second: Tensor, steps: Sequence[int], orders: Tensor, most: int) -> Approach:
    """From two readings of each checkpoint.

    Parameters
    ----------
    first, second : Tensor
        (checkpoints, samples, 2, subsets); the same tensor where the checkpoints were read once.
    steps : sequence of int
        Of the checkpoints.
    orders, most
        Of the subsets.
    """
    once = first is second
    ways = [(first, second)] if once else [(first, second), (second, first)]
    samples = first.shape[1]
    partner = ~np.eye(samples, dtype=bool)
    own, others = [], []
    for checkpoint in range(len(first)):
        similar = np.mean([_similar(x[checkpoint], y[-1], orders, most) for x, y in ways], axis=0)
        own.append(np.diagonal(similar))
        others.append(np.where(partner, similar, 0).sum(1) / max(1, samples - 1) if samples > 1 else [np.nan])
    ceiling = np.ones(samples) if once else own[-1]
    return Approach(
        np.asarray(steps, dtype=np.int64), np.stack(own, -1), np.stack(others, -1), ceiling[:, None]
    )


def _similar(a: Tensor, b: Tensor, orders: Tensor, most: int) -> Array:
    """Weighted Jaccard similarity of every pair of samples, (samples, samples): 1 where neither has any strength."""
    common = crossed(a, b, orders, most).sum(-1)
    union = strength(a, orders, most).sum(-1)[:, None] + strength(b, orders, most).sum(-1)[None] - common
    return np.asarray(np.where(union > 0, common / np.where(union > 0, union, 1.0), 1.0))


def passage(steps: NDArray[np.int64], curves: Array, level: float) -> Array:
    """Where curves over steps first pass a level, linear in log(1 + step) between checkpoints.

    Parameters
    ----------
    steps : ndarray
        Ascending, shape (checkpoints,).
    curves : ndarray
        Shape (curves, checkpoints).

    Returns
    -------
    ndarray
        Steps, shape (curves,): the first one for a curve that begins at the level, NaN for one that never gets there.
    """
    x = np.log1p(steps.astype(np.float64))
    above = curves >= level
    after = above.argmax(1)
    rows, before = np.arange(len(curves)), np.maximum(after - 1, 0)
    low, high = curves[rows, before], curves[rows, after]
    part = np.where(high > low, (level - low) / np.where(high > low, high - low, 1.0), 1.0)
    found = np.expm1(x[before] + part * (x[after] - x[before]))
    return np.where(above.any(1), np.where(after == 0, float(steps[0]), found), np.nan)


def area_ahead(first: Approach, second: Approach) -> tuple[Estimate, float]:
    """How much larger the first run's area is, paired on samples (and seeds), and the p of no difference.

    p is two-sided: how often the difference is as large when, for each sample, the runs are swapped at random.
    """
    means = resampled_means(*first.parts, *second.parts)
    difference = first._area(*means[:3]) - second._area(*means[3:])
    one, two = _on_common_steps(first, second)
    p = swap_test(lambda a, b: one._area(*a) - one._area(*b), one.parts, two.parts)
    return first._estimates(difference[:, None])[0], p


def _on_common_steps(first: Approach, second: Approach) -> tuple[Approach, Approach]:
    """Both runs at the checkpoints of either, as parts of their ranges of log(1 + step), to be swapped."""
    if first.steps.tolist() == second.steps.tolist():
        return first, second
    places = [_places(run.steps) for run in (first, second)]
    grid = np.union1d(*places)
    steps = np.expm1(grid)

    def at(values: Array, places: Array) -> Array:
        return np.asarray(np.apply_along_axis(lambda row: np.interp(grid, places, row), -1, values))

    one, two = (
        Approach(steps, at(run.observed, where), at(run.floor, where), run.ceiling)
        for run, where in zip((first, second), places, strict=True)
    )
    return one, two


def _places(steps: NDArray[Any]) -> Array:
    """Of checkpoints, from 0 at the first to 1 at the last, in log(1 + step)."""
    x = np.log1p(steps.astype(np.float64))
    return np.asarray((x - x[0]) / (x[-1] - x[0]))


def passage_ratio(first: Approach, second: Approach, level: float = HALF_WAY) -> Estimate:
    """How many times as many steps the second run takes to pass a level as the first, paired on samples and seeds."""
    means = resampled_means(*first.parts, *second.parts)
    one, two = _corrected(*means[:3]), _corrected(*means[3:])
    return first._estimates((passage(second.steps, two, level) / passage(first.steps, one, level))[:, None])[
        0
    ]
