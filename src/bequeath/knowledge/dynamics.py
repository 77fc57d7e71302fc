"""How a run approaches its final knowledge over its checkpoints (METHOD 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.approach import HALF_WAY, Approach, approach, area_ahead, passage_ratio
from bequeath.knowledge.regions import shared
from bequeath.knowledge.statistics import Estimate, mean_estimate, ratio_estimates, swap_test
from bequeath.knowledge.turnover import Turnover, turnover
from bequeath.lattice.given import numbers, plain_tensor, whole
from bequeath.printable import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    effects, target, orders = (
        numbers(effects, "effects"),
        numbers(target, "target"),
        plain_tensor(orders, "orders"),
    )
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
        lost again; of what both halves of the masks find, where there are halves. 0 for a run that only ever adds.
    approach : Approach
        Similarity to the last checkpoint, with its floor and ceiling.
    turnover : Turnover or None
        What goes and comes between checkpoints; None without halves of the masks.
    """

    steps: NDArray[np.int64]
    similarity: Tensor
    strength: Tensor
    dropped: Tensor
    approach: Approach
    turnover: Turnover | None = None

    __repr__ = one_line

    def plot(self, *, name: str = "after", ax: Axes | None = None) -> Axes:
        """How near the checkpoints are to the last one: see `bequeath.plots.courses`, which draws several runs."""
        from bequeath import plots

        return plots.courses({name: self}, ax=ax)

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
        similar, strong, dropped = (torch.stack([getattr(run, part) for run in seeds]) for part in parts)
        changes = [run.turnover for run in seeds if run.turnover is not None]
        return cls(
            seeds[0].steps,
            similar,
            strong,
            dropped,
            Approach.stacked([run.approach for run in seeds]),
            Turnover.stacked(changes) if len(changes) == len(seeds) else None,
        )

    def mean_order(self) -> list[Estimate]:
        """Mean order of the interactions, weighted by strength, at each checkpoint."""
        by_order = self.strength[..., 1:].numpy()
        orders = np.arange(1, by_order.shape[-1] + 1)
        parts = (np.swapaxes(part, -1, -2) for part in ((by_order * orders).sum(-1), by_order.sum(-1)))
        return ratio_estimates(*parts)


@dataclass(frozen=True)
class Lead:
    """How far one run is ahead of another on the way to its own final knowledge; paired on samples (and seeds).

    Attributes
    ----------
    area : Estimate
        Its area under corrected similarity minus the other's; above 0 where it is earlier.
    area_p, dropped_p : float
        Two-sided p of no difference (the runs are swapped at random, sample by sample).
    steps : Estimate
        How many times as many steps the other takes to pass `level`.
    dropped : Estimate
        The share of its strength that the other learned and lost again, minus its own; above 0 where it is steadier.
    level : float
        Corrected similarity that counts as half way.
    """

    area: Estimate
    area_p: float
    steps: Estimate
    dropped: Estimate
    dropped_p: float
    level: float


def lead(first: Dynamics, second: Dynamics, level: float = HALF_WAY) -> Lead:
    """How far the first run is ahead of the second, on the same samples."""
    area, area_p = area_ahead(first.approach, second.approach)
    one, two = (run.dropped.numpy()[..., None] for run in (first, second))
    dropped_p = swap_test(lambda a, b: np.asarray((b[0] - a[0])[:, 0]), [one], [two])
    return Lead(
        area,
        area_p,
        passage_ratio(first.approach, second.approach, level),
        mean_estimate((second.dropped - first.dropped).numpy()),
        dropped_p,
        level,
    )


def dynamics(
    effects: Tensor,
    steps: Sequence[int],
    orders: Tensor,
    most: int | None = None,
    halves: tuple[Tensor, Tensor] | None = None,
) -> Dynamics:
    """Dynamics of one run.

    Parameters
    ----------
    effects : Tensor
        Interactions of the run's checkpoints, shape (checkpoints, samples, 2, subsets).
    steps : sequence of int
        Training step of each checkpoint, strictly ascending, at least two.
    orders, most
        As in `similarity`.
    halves : tuple of Tensor, optional
        Two more readings of each checkpoint, of the same shape, from disjoint halves of the masks: similarity then has
        a ceiling, and what one of the two alone finds is not counted as dropped.

    Raises
    ------
    BequeathError
        If the steps do not ascend or do not belong to the effects.
    """
    effects, orders = numbers(effects, "effects"), plain_tensor(orders, "orders")
    steps = [whole(step, "steps", 0) for step in steps]
    if halves is not None:
        halves = numbers(halves[0], "halves"), numbers(halves[1], "halves")
    if len(steps) != len(effects) or len(steps) < 2:
        raise BequeathError(f"steps: {len(steps)} for {len(effects)} checkpoints; at least 2 are needed")
    if any(b <= a for a, b in pairwise(steps)):
        raise BequeathError(f"steps: must ascend, not {list(steps)}")
    sure = effects if halves is None else torch.sign(halves[0]) * shared(*halves)
    doubled = torch.cat((sure.clamp(min=0), (-sure).clamp(min=0)), dim=-2)
    change = doubled[1:] - doubled[:-1]
    gained = doubled[0].sum((-1, -2)) + change.clamp(min=0).sum((0, -1, -2))
    lost = (-change).clamp(min=0).sum((0, -1, -2))
    largest = int(orders.max()) if most is None else most
    first, second = (effects, effects) if halves is None else halves
    return Dynamics(
        np.asarray(steps, dtype=np.int64),
        similarity(effects, effects[-1], orders, largest),
        _by_order(effects.abs(), orders, largest),
        _quotient(lost, gained, 0.0),
        approach(first, second, steps, orders, largest),
        None if halves is None else turnover(effects, halves, steps, orders, largest),
    )
