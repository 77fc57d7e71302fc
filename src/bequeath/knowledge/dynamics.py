"""How the interactions of a training run approach those of its last checkpoint.

Source: docs/method.md, section "Claims" (F3).
"""

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
from bequeath.knowledge.permutation import swap_test
from bequeath.knowledge.regions import shared
from bequeath.knowledge.statistics import Estimate, mean_estimate, ratio_estimates
from bequeath.knowledge.turnover import Turnover, turnover
from bequeath.lattice.given import numbers, plain_tensor, whole
from bequeath.printable import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _by_order(x: Tensor, orders: Tensor, most: int | None) -> Tensor:
    """Sums over both types by order: (..., 2, subsets) -> (..., most + 1); entry 0 is the sum over all orders."""
    flat = x.sum(-2)
    most = int(orders.max()) if most is None else most
    total = flat.new_zeros(*flat.shape[:-1], most + 1).index_add_(-1, orders, flat)
    total[..., 0] = flat.sum(-1)
    return total


def _quotient(a: Tensor, b: Tensor, empty: float) -> Tensor:
    return torch.where(b > 0, a / b.clamp(min=torch.finfo(b.dtype).tiny), empty)


def similarity(effects: Tensor, target: Tensor, orders: Tensor, most: int | None = None) -> Tensor:
    """Weighted Jaccard similarity of signed interactions, by order.

    Each interaction counts as two numbers, its positive and its negative part; the similarity is the sum of minima of
    these numbers divided by the sum of maxima. Source: docs/method.md, section "Claims" (F3).

    Parameters
    ----------
    effects, target : Tensor
        Interactions, shape (..., samples, 2, subsets), in the same units.
    orders : Tensor
        Order |T| of each subset, int64, shape (subsets,).
    most : int, optional
        The largest order of the result; by default the largest in `orders`.

    Returns
    -------
    Tensor
        Shape (..., samples, most + 1), in [0, 1]: 1 for equal interactions, higher is more similar. Entry 0 of the last
        axis is over all orders. 1 if both have no strength.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> effects = torch.tensor([[[0.0, 2.0, 1.0], [0.0, 0.0, 0.0]]])  # subsets {}, {0}, {1}
    >>> target = torch.tensor([[[0.0, 1.0, -1.0], [0.0, 0.0, 0.0]]])
    >>> bq.similarity(effects, target, torch.tensor([0, 1, 1])).tolist()
    [[0.25, 0.25]]
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
    """Interactions of one training run over its checkpoints, or of the runs of several seeds (`stacked`).

    Attributes
    ----------
    steps : NDArray
        Training step of each checkpoint, ascending.
    similarity : Tensor
        Similarity to the run's last checkpoint, shape (checkpoints, samples, orders + 1); index 0 is over all orders.
        With several seeds, on the same samples and steps, an axis of seeds comes first, here and in all other fields.
    strength : Tensor
        Sum of |I|, in the same shape.
    dropped : Tensor
        Shape (samples,): of all strength that the run gained between checkpoints, the share that it lost again. With
        halves of the masks, only strength in both halves counts. 0 for a run that never loses strength.
    approach : Approach
        Similarity to the last checkpoint, with its floor and ceiling.
    turnover : Turnover or None
        Interactions removed and added between checkpoints; None without halves of the masks.
    """

    steps: NDArray[np.int64]
    similarity: Tensor
    strength: Tensor
    dropped: Tensor
    approach: Approach
    turnover: Turnover | None = None

    __repr__ = one_line

    def plot(self, *, name: str = "after", ax: Axes | None = None) -> Axes:
        """Similarity of the checkpoints to the last one: see `bequeath.plots.courses`, which draws several runs."""
        from bequeath import plots

        return plots.courses({name: self}, ax=ax)

    @classmethod
    def stacked(cls, seeds: Sequence[Dynamics]) -> Dynamics:
        """Join the runs of several seeds.

        Raises
        ------
        BequeathError
            If their checkpoints or samples differ.
        """
        if len({(tuple(run.steps.tolist()), run.similarity.shape) for run in seeds}) != 1:
            raise BequeathError("seeds: runs with different checkpoints or samples; give runs with the same")
        names = ("similarity", "strength", "dropped")
        similar, strong, dropped = (torch.stack([getattr(run, name) for run in seeds]) for name in names)
        turnovers = [run.turnover for run in seeds if run.turnover is not None]
        return cls(
            seeds[0].steps,
            similar,
            strong,
            dropped,
            Approach.stacked([run.approach for run in seeds]),
            Turnover.stacked(turnovers) if len(turnovers) == len(seeds) else None,
        )

    def mean_order(self) -> list[Estimate]:
        """Mean order of the interactions, weighted by strength, at each checkpoint."""
        by_order = self.strength[..., 1:].numpy()
        orders = np.arange(1, by_order.shape[-1] + 1)
        parts = (np.swapaxes(part, -1, -2) for part in ((by_order * orders).sum(-1), by_order.sum(-1)))
        return ratio_estimates(*parts)


@dataclass(frozen=True)
class Lead:
    """How far one run is ahead of another on the way to its own last checkpoint; paired on samples (and seeds).

    Attributes
    ----------
    area : Estimate
        Area under its corrected similarity minus that of the other run; above 0 if it is earlier.
    area_p, dropped_p : float
        Two-sided p-values of no difference (the runs are swapped at random for each sample).
    steps : Estimate
        Steps that the other run needs to reach `level`, divided by its own.
    dropped : Estimate
        Share of strength that the other run gained and lost again, minus its own; above 0 if it is steadier.
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
    """How far the first run is ahead of the second, on the same samples; `level` counts as half way.

    Parameters
    ----------
    first, second : Dynamics
        Two runs on the same samples.
    level : float
        Corrected similarity that counts as half way.

    Returns
    -------
    Lead
    """
    area, area_p = area_ahead(first.approach, second.approach)
    own, others = (run.dropped.numpy()[..., None] for run in (first, second))
    dropped_p = swap_test(lambda a, b: np.asarray((b[0] - a[0])[:, 0]), [own], [others])
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
    """How the interactions of one training run approach those of its last checkpoint.

    Source: docs/method.md, section "Claims" (F3 and F4).

    Parameters
    ----------
    effects : Tensor
        Interactions of the checkpoints, shape (checkpoints, samples, 2, subsets).
    steps : sequence of int
        Training step of each checkpoint, strictly ascending, at least two.
    orders, most
        As in `similarity`.
    halves : tuple of Tensor, optional
        Two more readings of each checkpoint from disjoint halves of the masks, in the same shape. With them the
        similarity has a ceiling, and strength that only one half has is not counted as dropped.

    Returns
    -------
    Dynamics

    Raises
    ------
    BequeathError
        If the steps do not ascend, or are not as many as the checkpoints.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> final = torch.tensor([[[0.0, 2.0, 1.0], [0.0, 0.0, 0.0]]])  # subsets {}, {0}, {1}
    >>> effects = torch.stack([0 * final, 0.5 * final, final])  # three checkpoints
    >>> run = bq.dynamics(effects, steps=[0, 10, 100], orders=torch.tensor([0, 1, 1]))
    >>> run.similarity[:, 0, 0].tolist(), run.dropped.tolist()
    ([0.0, 0.5, 1.0], [0.0])
    """
    effects, orders = numbers(effects, "effects"), plain_tensor(orders, "orders")
    steps = [whole(step, "steps", 0) for step in steps]
    if halves is not None:
        halves = numbers(halves[0], "halves"), numbers(halves[1], "halves")
    if len(steps) != len(effects) or len(steps) < 2:
        raise BequeathError(
            f"steps: {len(steps)} for {len(effects)} checkpoints; give one for each, of at least 2 checkpoints"
        )
    if any(b <= a for a, b in pairwise(steps)):
        raise BequeathError(f"steps: {list(steps)}; give ascending steps")
    reliable = effects if halves is None else torch.sign(halves[0]) * shared(*halves)
    doubled = torch.cat((reliable.clamp(min=0), (-reliable).clamp(min=0)), dim=-2)
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
