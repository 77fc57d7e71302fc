"""What changed one sample's output between two models, and whether hiding the players concerned does what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.alignment import align
from bequeath.knowledge.statistics import CONFIDENCE, Estimate, mean_estimate, ratio_estimate
from bequeath.lattice.interactions import TYPES, Interactions

# Strongest changes whose players are hidden, and how many other sets of as many players are hidden beside them.
NAMED, DRAWS = 3, 16


@dataclass(frozen=True)
class TermChange:
    """One interaction of one sample in two models, in units of the value.

    Attributes
    ----------
    kind : {"and", "or"}
    players : tuple of int
    before, after : float
        Its effect in either model; 0 where it is not there.
    """

    kind: str
    players: tuple[int, ...]
    before: float
    after: float

    @property
    def change(self) -> float:
        """What it adds to the change of the output."""
        return self.after - self.before

    @property
    def what(self) -> Literal["lost", "came", "turned"]:
        """Lost: weaker after, or gone; came: stronger, or new; turned: of the other sign."""
        if self.before * self.after < 0:
            return "turned"
        return "lost" if abs(self.after) < abs(self.before) else "came"


def term_changes(before: Interactions, after: Interactions) -> list[list[TermChange]]:
    """Of each sample, the interactions that changed, the strongest change first.

    They are the terms of the change of the output: with v(0), what every shown player brings (`constant`) and what is
    not explained, they add up to v(N) after less v(N) before.

    Parameters
    ----------
    before, after : Interactions
        Readings (samples,) of the same samples and players, in units of the value.
    """
    aligned = align({"before": before, "after": after})
    pair = torch.stack([aligned.effects["before"], aligned.effects["after"]])
    found = []
    for sample in range(pair.shape[1]):
        change = (pair[1, sample] - pair[0, sample]).flatten()
        terms = []
        for position in change.abs().argsort(descending=True, stable=True).tolist():
            if change[position] == 0:
                break
            kind, subset = divmod(position, pair.shape[-1])
            effects = pair[:, sample, kind, subset].tolist()
            terms.append(TermChange(TYPES[kind], aligned.members(subset), *effects))
        found.append(terms)
    return found


def players_concerned(terms: Sequence[TermChange], total: float, n_players: int) -> tuple[int, ...]:
    """Players of the strongest interactions that moved the output the way that it went.

    Those of three interactions at most, and not more than half of the players: what is left is to be a sample still.

    Parameters
    ----------
    terms : sequence of TermChange
        The strongest change first.
    total : float
        v(N) after less v(N) before.
    n_players : int
    """
    chosen: set[int] = set()
    named = 0
    for term in terms:
        wider = chosen | set(term.players)
        if term.change * total > 0 and len(wider) <= n_players // 2:
            chosen, named = wider, named + 1
            if named == NAMED:
                break
    return tuple(sorted(chosen))


def hiding_masks(players: Sequence[int], n_players: int, seed: int = 0) -> Tensor:
    """Masks that hide these players, and then as many others, drawn at random, all of them different.

    Parameters
    ----------
    players : sequence of int
        At least one, at most half of them all.
    n_players : int
    seed : int
        Of the draws.

    Returns
    -------
    Tensor
        Bool (1 + draws, n_players), False where hidden; up to 16 draws, fewer where there are not so many sets.
    """
    if not 1 <= len(players) <= n_players // 2:
        raise BequeathError(f"hiding: {len(players)} of {n_players} players; give 1 to half of them")
    rng = np.random.default_rng(seed)
    sets = {tuple(sorted(players))}
    wanted = 1 + min(DRAWS, comb(n_players, len(players)) - 1)
    while len(sets) < wanted:
        sets.add(tuple(sorted(rng.choice(n_players, len(players), replace=False).tolist())))
    first, *others = sorted(sets, key=lambda one: one != tuple(sorted(players)))
    masks = torch.ones(wanted, n_players, dtype=torch.bool)
    for row, hidden in zip(masks, (first, *sorted(others)), strict=True):
        row[list(hidden)] = False
    return masks


@dataclass(frozen=True)
class HidingCheck:
    """Whether the difference between two models' outputs moves as the readings say when players are hidden.

    Attributes
    ----------
    measurable : int
        Samples in which both halves of the masks say the same direction; `right` is over them.
    right : Estimate
        Share of the measurable samples in which the difference moves in the direction that the readings say, 0 to 1,
        higher is better, with Wilson's interval. NaN where none is measurable.
    right_at_random : Estimate
        The same for as many players drawn at random: how well any hiding is foretold.
    said, undone : Estimate
        Share of the change between the models that hiding the players concerned takes away: as the readings say, and as
        it is. 1: all of it; 0: none. Ratios of sums over all samples.
    undone_at_random : Estimate
        What hiding as many other players takes away: the zero of `undone`.
    more : Estimate
        `undone` less `undone_at_random`: above 0 where the players concerned matter more than any others.
    """

    measurable: int
    right: Estimate
    right_at_random: Estimate
    said: Estimate
    undone: Estimate
    undone_at_random: Estimate
    more: Estimate


def hiding_check(
    total: ArrayLike, said: Sequence[ArrayLike], found: Sequence[ArrayLike], measurable: Sequence[bool]
) -> HidingCheck:
    """Hold what readings say of hidden players against what the models do.

    Parameters
    ----------
    total : array_like
        v(N) after less v(N) before of each sample, (samples,).
    said, found : sequence of array_like
        Of each sample: how the difference between the models moves from all players shown to the masks of
        `hiding_masks`, (1 + draws,), by the readings and in the models themselves.
    measurable : sequence of bool
        Of each sample, whether its reading says anything of the first mask.
    """
    change = np.asarray(total, np.float64)
    size, sign = np.abs(change), np.sign(change)
    told, seen = ([np.asarray(one, np.float64) for one in rows] for rows in (said, found))
    agree = [np.sign(a) == np.sign(b) for a, b in zip(told, seen, strict=True)]
    sure = [one for one, is_sure in zip(agree, measurable, strict=True) if is_sure]
    others = np.array([_mean(-one[1:]) for one in seen]) * sign
    at_random = np.where(np.isfinite(others), others, 0.0)
    own = np.array([-one[0] for one in seen]) * sign
    return HidingCheck(
        len(sure),
        share_of([bool(one[0]) for one in sure]),
        _mean_of([_mean(one[1:]) for one in sure]),
        _ratio(np.array([-one[0] for one in told]) * sign, size),
        _ratio(own, size),
        _ratio(at_random, size),
        _ratio(own - at_random, size),
    )


def _mean(values: ArrayLike) -> float:
    row = np.asarray(values, np.float64)
    return float(row.mean()) if row.size else float("nan")


def _nothing() -> Estimate:
    return Estimate(float("nan"), float("nan"), float("nan"), 0)


def share_of(right: Sequence[bool]) -> Estimate:
    """Share of what is right, with Wilson's interval: it holds where all are right, too, where resampling has none."""
    if not right:
        return _nothing()
    interval = scipy.stats.binomtest(sum(right), len(right)).proportion_ci(CONFIDENCE, "wilson")
    return Estimate(sum(right) / len(right), float(interval.low), float(interval.high), len(right))


def _mean_of(values: Sequence[float]) -> Estimate:
    known = [value for value in values if np.isfinite(value)]
    return mean_estimate(known) if known else _nothing()


def _ratio(top: ArrayLike, bottom: ArrayLike) -> Estimate:
    return ratio_estimate(top, bottom) if np.size(bottom) else _nothing()
