"""How a run approaches its final knowledge over its checkpoints (METHOD 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.regions import shared
from bequeath.knowledge.statistics import (
    Estimate,
    mean_estimate,
    ratio_estimates,
    resampled,
    sign_flip_test,
)

# Similarity to the final knowledge at which a run is half way.
HALF_WAY = 0.5


def _by_order(x: Tensor, orders: Tensor, most: int | None) -> Tensor:
    """(..., 2, subsets) -> (..., most + 1), both types together; entry 0 holds the sum over all orders."""
    flat = x.sum(-2)
    most = int(orders.max()) if most is None else most
    total = flat.new_zeros(*flat.shape[:-1], most + 1).index_add_(-1, orders, flat)
    total[..., 0] = flat.sum(-1)
    return total


def _quotient(a: Tensor, b: Tensor, empty: float) -> Tensor:
    return torch.where(b > 0, a / b.clamp(min=torch.finfo(b.dtype).tiny), empty)


def similarity(effects: Tensor, target: Tensor, orders: Tensor, most: int | None = None) -> Tensor:
    """Weighted Jaccard similarity of signed interactions, by order.

    Parameters
    ----------
    effects, target : Tensor
        Shape (..., samples, 2, subsets).
    orders : Tensor
        |T| of each subset, int64, shape (subsets,).
    most : int, optional
        The largest order that is told of; by default the largest there is.

    Returns
    -------
    Tensor
        sum min / sum max over the nonnegative doubling, in [0, 1]: shape (..., samples, most + 1); entry 0 of the last
        axis is over all orders. 1 where neither has any strength.
    """
    least = shared(effects, target)
    greatest = effects.abs() + target.abs() - least
    return _quotient(_by_order(least, orders, most), _by_order(greatest, orders, most), 1.0)


@dataclass(frozen=True)
class Dynamics:
    """One run over its checkpoints, or the runs of several seeds on the same samples and steps (`stacked`).

    Attributes
    ----------
    steps : NDArray
        Training step of each checkpoint, ascending.
    similarity : Tensor
        To the run's own last checkpoint, shape (checkpoints, samples, orders + 1); index 0 is over all orders. With an
        axis of seeds in front where there are several, as all that follows.
    strength : Tensor
        Sum of |I|, same shape.
    dropped : Tensor
        Shape (samples,): of all strength that the run ever gained from one checkpoint to the next, the share that it
        lost again. 0 for a run that only ever adds.
    """

    steps: NDArray[np.int64]
    similarity: Tensor
    strength: Tensor
    dropped: Tensor

    @classmethod
    def stacked(cls, seeds: Sequence[Dynamics]) -> Dynamics:
        """Runs of several seeds as one.

        Raises
        ------
        BequeathError
            If their checkpoints or samples differ.
        """
        if len({(tuple(run.steps.tolist()), run.similarity.shape) for run in seeds}) != 1:
            raise BequeathError("seeds: runs with other checkpoints or samples; all need the same")
        parts = ("similarity", "strength", "dropped")
        return cls(seeds[0].steps, *(torch.stack([getattr(run, part) for run in seeds]) for part in parts))

    def curves(self) -> NDArray[np.float64]:
        """Similarity over all orders: shape (..., samples, checkpoints)."""
        return np.asarray(self.similarity[..., 0].transpose(-1, -2).numpy())

    def area(self) -> NDArray[np.float64]:
        """Area under the overall similarity over log(1 + step), scaled to [0, 1]: shape (..., samples)."""
        x = np.log1p(self.steps.astype(np.float64))
        return np.asarray(np.trapezoid(self.curves(), x, axis=-1) / (x[-1] - x[0]))

    def first_step(self, level: float) -> int:
        """First checkpoint's step whose mean overall similarity passes `level`; the last checkpoint always does."""
        passed = self.curves().reshape(-1, len(self.steps)).mean(0) >= level
        return int(self.steps[int(passed.nonzero()[0][0])])

    def first_passage(self, level: float) -> Estimate:
        """Step at which the mean overall similarity first passes `level`, interpolated in log(1 + step)."""
        return Estimate(*resampled(lambda mean: passage(self.steps, mean, level), self.curves()))

    def mean_order(self) -> list[Estimate]:
        """Mean order of the interactions, weighted by strength, at each checkpoint."""
        by_order = self.strength[..., 1:].numpy()
        orders = np.arange(1, by_order.shape[-1] + 1)
        parts = (np.swapaxes(part, -1, -2) for part in ((by_order * orders).sum(-1), by_order.sum(-1)))
        return ratio_estimates(*parts)


def passage(steps: NDArray[np.int64], curves: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Where curves over steps first pass a level, linear in log(1 + step) between checkpoints.

    Parameters
    ----------
    steps : NDArray
        Ascending, shape (checkpoints,).
    curves : NDArray
        Shape (curves, checkpoints).

    Returns
    -------
    NDArray
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


def passage_ratio(first: Dynamics, second: Dynamics, level: float) -> Estimate:
    """How many times as many steps the second run takes to pass a level as the first, paired on samples and seeds."""
    return Estimate(
        *resampled(
            lambda a, b: passage(second.steps, b, level) / passage(first.steps, a, level),
            first.curves(),
            second.curves(),
        )
    )


@dataclass(frozen=True)
class Lead:
    """How far one run is ahead of another on the way to its own final knowledge; paired on samples (and seeds).

    Attributes
    ----------
    area : Estimate
        Its area under similarity minus the other's; above 0 where it is earlier.
    area_p, dropped_p : float
        Two-sided p of no difference (sign-flip test over samples).
    steps : Estimate
        How many times as many steps the other takes to pass `level`.
    dropped : Estimate
        The share of its strength that the other learned and lost again, minus its own; above 0 where it is steadier.
    level : float
        Similarity that counts as half way.
    """

    area: Estimate
    area_p: float
    steps: Estimate
    dropped: Estimate
    dropped_p: float
    level: float


def lead(first: Dynamics, second: Dynamics, level: float = HALF_WAY) -> Lead:
    """How far the first run is ahead of the second, on the same samples."""
    area = first.area() - second.area()
    dropped = (second.dropped - first.dropped).numpy()
    return Lead(
        mean_estimate(area),
        sign_flip_test(area),
        passage_ratio(first, second, level),
        mean_estimate(dropped),
        sign_flip_test(dropped),
        level,
    )


def dynamics(effects: Tensor, steps: Sequence[int], orders: Tensor, most: int | None = None) -> Dynamics:
    """Dynamics of one run.

    Parameters
    ----------
    effects : Tensor
        Interactions of the run's checkpoints, shape (checkpoints, samples, 2, subsets).
    steps : sequence of int
        Training step of each checkpoint, strictly ascending, at least two.
    orders, most
        As in `similarity`.

    Raises
    ------
    BequeathError
        If the steps do not ascend or do not belong to the effects.
    """
    if len(steps) != len(effects) or len(steps) < 2:
        raise BequeathError(f"steps: {len(steps)} for {len(effects)} checkpoints; at least 2 are needed")
    if any(b <= a for a, b in pairwise(steps)):
        raise BequeathError(f"steps: must ascend, not {list(steps)}")
    doubled = torch.cat((effects.clamp(min=0), (-effects).clamp(min=0)), dim=-2)
    change = doubled[1:] - doubled[:-1]
    gained = doubled[0].sum((-1, -2)) + change.clamp(min=0).sum((0, -1, -2))
    lost = (-change).clamp(min=0).sum((0, -1, -2))
    return Dynamics(
        np.asarray(steps, dtype=np.int64),
        similarity(effects, effects[-1], orders, most),
        _by_order(effects.abs(), orders, most),
        _quotient(lost, gained, 0.0),
    )
