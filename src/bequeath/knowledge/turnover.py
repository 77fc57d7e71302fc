"""What a run removes and adds from one checkpoint to the next: is it reliable, does it cancel? (METHOD 6, F4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge.crossings import Array, crossed, strength
from bequeath.knowledge.regions import shared
from bequeath.knowledge.statistics import Estimate, resampled
from bequeath.printable import one_line

PARTS = ("removed", "added")
# What is kept of each part, sample by sample.
_SUMS = ("again", "by_chance", "strength", "effect", "size")


@dataclass(frozen=True)
class Kind:
    """What is removed or added in some steps.

    Attributes
    ----------
    strength : float
        Mean sum of abs(I) a sample, in units of the value.
    reliability : Estimate
        How much of it the other half of the masks finds, too, less what it finds in other samples: 0 for noise, at
        most 1.
    cancellation : Estimate
        abs(sum I) / sum abs(I) of a sample: 1 where it pulls the output one way, near 0 where it cancels.
    """

    strength: float
    reliability: Estimate
    cancellation: Estimate


@dataclass(frozen=True, eq=False)
class Turnover:
    """Of one run; with an axis of seeds in front of all sums where there are several.

    Attributes
    ----------
    steps : ndarray
        Of the checkpoints; transitions lie between them.
    sums : dict of str to dict of str to ndarray
        For what was ``removed`` and ``added``: (samples, transitions) each.
    """

    steps: NDArray[np.int64]
    sums: dict[str, dict[str, Array]]

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Turnover]) -> Turnover:
        """Those of several seeds as one."""
        return cls(
            seeds[0].steps,
            {
                part: {name: np.stack([one.sums[part][name] for one in seeds]) for name in _SUMS}
                for part in PARTS
            },
        )

    @property
    def early(self) -> NDArray[np.bool_]:
        """Which transitions end in the first half of the run, counted in log(1 + step)."""
        x = np.log1p(self.steps.astype(np.float64))
        early = x[1:] <= (x[0] + x[-1]) / 2
        early[0] = True
        return np.asarray(early)

    def kind(self, part: str, early: bool) -> Kind:
        """What was removed or added in the first or in the second half of the run."""
        return self._kind(part, self._half(early))

    def between(self, part: str, transition: int) -> Kind:
        """What was removed or added between two neighbouring checkpoints; transition 0 is between the first two."""
        return self._kind(part, self._one(transition))

    def falls(self, part: str, transition: int, earlier: int) -> Estimate:
        """Reliability of what one transition removed or added less that of an earlier transition."""
        return self._less((part, self._one(transition)), (part, self._one(earlier)))

    def _kind(self, part: str, keep: NDArray[np.bool_]) -> Kind:
        again, by_chance, strengths, effect, size = self._some(part, keep)
        return Kind(
            float(strengths.mean()),
            Estimate(*resampled(_reliability, again, by_chance, strengths)),
            Estimate(*resampled(lambda a, b: (a / b)[:, 0], effect, size)),
        )

    def _half(self, early: bool) -> NDArray[np.bool_]:
        return self.early if early else ~self.early

    def _one(self, transition: int) -> NDArray[np.bool_]:
        return np.asarray(np.arange(len(self.steps) - 1) == transition)

    def _some(self, part: str, keep: NDArray[np.bool_]) -> list[Array]:
        return [self.sums[part][name][..., keep].sum(-1, keepdims=True) for name in _SUMS]

    def less_reliable(self, first: tuple[str, bool], second: tuple[str, bool]) -> Estimate:
        """Reliability of one kind, (part, early), less that of another; NaN where there is nothing of one of them."""
        return self._less(*((part, self._half(early)) for part, early in (first, second)))

    def _less(self, first: tuple[str, NDArray[np.bool_]], second: tuple[str, NDArray[np.bool_]]) -> Estimate:
        parts = [self._some(*which)[:3] for which in (first, second)]
        found = resampled(lambda *x: _reliability(*x[:3]) - _reliability(*x[3:]), *parts[0], *parts[1])
        return Estimate(*found)

    def more_cancelling(self, first: tuple[str, bool], second: tuple[str, bool]) -> Estimate:
        """abs(sum I) / sum abs(I) of one kind less that of another."""
        parts = [self._some(part, self._half(early))[3:] for part, early in (first, second)]
        return Estimate(*resampled(lambda a, b, c, d: (a / b - c / d)[:, 0], *parts[0], *parts[1]))


def _reliability(again: Array, by_chance: Array, strengths: Array) -> Array:
    return np.asarray(((again - by_chance) / strengths)[:, 0])


def turnover(
    effects: Tensor, halves: tuple[Tensor, Tensor], steps: Sequence[int], orders: Tensor, most: int
) -> Turnover:
    """Of one run, from its checkpoints' interactions and those of two halves of the masks.

    Parameters
    ----------
    effects, halves
        As of `bequeath.dynamics`: (checkpoints, samples, 2, subsets) each.
    """
    found: dict[str, dict[str, list[Array]]] = {part: {name: [] for name in _SUMS} for part in PARTS}
    whole = _changes(effects)
    parts = [_changes(half) for half in halves]
    samples = effects.shape[1]
    for part in PARTS:
        for one, first, second in zip(whole[part], parts[0][part], parts[1][part], strict=True):
            common = crossed(first, second, orders, most).sum(-1)
            own = np.diagonal(common)
            others = (common.sum(1) - own + common.sum(0) - own) / 2 / max(1, samples - 1)
            size = (strength(first, orders, most) + strength(second, orders, most)).sum(-1) / 2
            sums = (own, others, size, one.sum((-1, -2)).abs().numpy(), one.abs().sum((-1, -2)).numpy())
            for name, values in zip(_SUMS, sums, strict=True):
                found[part][name].append(np.asarray(values))
    return Turnover(
        np.asarray(steps, dtype=np.int64),
        {part: {name: np.stack(rows, -1) for name, rows in of.items()} for part, of in found.items()},
    )


def _changes(effects: Tensor) -> dict[str, Tensor]:
    """What goes and what comes between checkpoints, signed: (transitions, samples, 2, subsets) each."""
    kept = torch.sign(effects[1:]) * shared(effects[:-1], effects[1:])
    return {"removed": effects[:-1] - kept, "added": effects[1:] - kept}
