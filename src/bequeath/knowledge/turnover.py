"""Interactions that a run removes and adds between checkpoints: their reliability and cancellation.

Source: docs/method.md, section "Claims" (F4).
"""

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
# For each part and sample: strength that both halves of the masks share, strength that the halves share on different
# samples, mean strength of the halves, |sum I| and sum |I| of the whole reading.
_SUMS = ("common", "by_chance", "strength", "effect", "size")


@dataclass(frozen=True)
class Kind:
    """Interactions that were removed, or added, in some part of a run.

    Attributes
    ----------
    strength : float
        Mean over samples of the sum of abs(I), in units of the value.
    reliability : Estimate
        Share of this strength that both halves of the masks have in common, minus the same for different samples. 0 for
        noise, at most 1; higher is more reliable.
    cancellation : Estimate
        abs(sum I) / sum abs(I) within samples. 1: all have the same sign; near 0: they cancel.
    """

    strength: float
    reliability: Estimate
    cancellation: Estimate


@dataclass(frozen=True, eq=False)
class Turnover:
    """Interactions that one run removed and added between checkpoints. With several seeds, their axis comes first.

    Attributes
    ----------
    steps : ndarray
        Training steps of the checkpoints. A transition is a pair of neighbouring checkpoints.
    sums : dict of str to dict of str to ndarray
        For ``removed`` and ``added``: sums (samples, transitions), by name.
    """

    steps: NDArray[np.int64]
    sums: dict[str, dict[str, Array]]

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Turnover]) -> Turnover:
        """Join the runs of several seeds."""
        return cls(
            seeds[0].steps,
            {
                part: {name: np.stack([seed.sums[part][name] for seed in seeds]) for name in _SUMS}
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
        return self._kind(part, self._only(transition))

    def falls(self, part: str, transition: int, earlier: int) -> Estimate:
        """Reliability of what one transition removed or added, minus that of an earlier transition."""
        return self._difference((part, self._only(transition)), (part, self._only(earlier)))

    def _kind(self, part: str, keep: NDArray[np.bool_]) -> Kind:
        common, by_chance, strengths, effect, size = self._sums_over(part, keep)
        return Kind(
            float(strengths.mean()),
            Estimate(*resampled(_reliability, common, by_chance, strengths)),
            Estimate(*resampled(lambda a, b: (a / b)[:, 0], effect, size)),
        )

    def _half(self, early: bool) -> NDArray[np.bool_]:
        return self.early if early else ~self.early

    def _only(self, transition: int) -> NDArray[np.bool_]:
        return np.asarray(np.arange(len(self.steps) - 1) == transition)

    def _sums_over(self, part: str, keep: NDArray[np.bool_]) -> list[Array]:
        """Each of `_SUMS` over some transitions, (samples, 1)."""
        return [self.sums[part][name][..., keep].sum(-1, keepdims=True) for name in _SUMS]

    def less_reliable(self, first: tuple[str, bool], second: tuple[str, bool]) -> Estimate:
        """Reliability of one (part, early) minus reliability of another; NaN if one of the two is empty."""
        return self._difference(*((part, self._half(early)) for part, early in (first, second)))

    def _difference(
        self, first: tuple[str, NDArray[np.bool_]], second: tuple[str, NDArray[np.bool_]]
    ) -> Estimate:
        """Reliability of one (part, transitions) minus reliability of another."""
        sums = [self._sums_over(*which)[:3] for which in (first, second)]
        return Estimate(
            *resampled(lambda *x: _reliability(*x[:3]) - _reliability(*x[3:]), *sums[0], *sums[1])
        )

    def more_cancelling(self, first: tuple[str, bool], second: tuple[str, bool]) -> Estimate:
        """abs(sum I) / sum abs(I) of one (part, early) minus that of another; below 0 if the first cancels more."""
        sums = [self._sums_over(part, self._half(early))[3:] for part, early in (first, second)]
        return Estimate(*resampled(lambda a, b, c, d: (a / b - c / d)[:, 0], *sums[0], *sums[1]))


def _reliability(common: Array, by_chance: Array, strengths: Array) -> Array:
    return np.asarray(((common - by_chance) / strengths)[:, 0])


def turnover(
    effects: Tensor, halves: tuple[Tensor, Tensor], steps: Sequence[int], orders: Tensor, most: int
) -> Turnover:
    """What one run removed and added, from the interactions of its checkpoints and those of two halves of the masks.

    Parameters
    ----------
    effects, halves
        As for `bequeath.dynamics`: (checkpoints, samples, 2, subsets) each.
    steps : sequence of int
        Training steps of the checkpoints.
    orders : Tensor
        Number of players in each subset, int64, (subsets,).
    most : int
        The largest order.

    Returns
    -------
    Turnover
    """
    sums: dict[str, dict[str, list[Array]]] = {part: {name: [] for name in _SUMS} for part in PARTS}
    whole = _changes(effects)
    by_half = [_changes(half) for half in halves]
    samples = effects.shape[1]
    for part in PARTS:
        for change, first, second in zip(whole[part], by_half[0][part], by_half[1][part], strict=True):
            common = crossed(first, second, orders, most).sum(-1)
            own = np.diagonal(common)
            others = (common.sum(1) - own + common.sum(0) - own) / 2 / max(1, samples - 1)
            size = (strength(first, orders, most) + strength(second, orders, most)).sum(-1) / 2
            effect, total = change.sum((-1, -2)).abs().numpy(), change.abs().sum((-1, -2)).numpy()
            for name, values in zip(_SUMS, (own, others, size, effect, total), strict=True):
                sums[part][name].append(np.asarray(values))
    return Turnover(
        np.asarray(steps, dtype=np.int64),
        {
            part: {name: np.stack(rows, -1) for name, rows in by_name.items()}
            for part, by_name in sums.items()
        },
    )


def _changes(effects: Tensor) -> dict[str, Tensor]:
    """Signed interactions removed and added between checkpoints: (transitions, samples, 2, subsets) each."""
    kept = torch.sign(effects[1:]) * shared(effects[:-1], effects[1:])
    return {"removed": effects[:-1] - kept, "added": effects[1:] - kept}
