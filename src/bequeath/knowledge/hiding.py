"""Which interactions changed a sample's output between two models, and a check of them by hiding their players."""

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

# Number of strongest changes whose players are hidden, and number of random sets of as many players beside them.
NAMED, DRAWS = 3, 16


@dataclass(frozen=True)
class TermChange:
    """One interaction of one sample in two models, in units of the value.

    Attributes
    ----------
    kind : {"and", "or"}
    players : tuple of int
        Indices of the players.
    before, after : float
        Its effect in each model; 0 if the model does not have it.
    """

    kind: str
    players: tuple[int, ...]
    before: float
    after: float

    @property
    def change(self) -> float:
        """Its contribution to the change of the output: effect after minus effect before."""
        return self.after - self.before

    @property
    def direction(self) -> Literal["lost", "came", "turned"]:
        """Lost: weaker after, or gone. Came: stronger after, or new. Turned: its sign changed."""
        if self.before * self.after < 0:
            return "turned"
        return "lost" if abs(self.after) < abs(self.before) else "came"


def term_changes(before: Interactions, after: Interactions) -> list[list[TermChange]]:
    """The interactions of each sample that changed, the strongest change first.

    Together with the changes of v(0), of the constant and of the unexplained part, they add up to the change of the
    output, v(N) after minus v(N) before.

    Parameters
    ----------
    before, after : Interactions
        Readings (samples,) of the same samples and players, in units of the value.

    Returns
    -------
    list of list of TermChange
        One list for each sample.
    """
    aligned = align({"before": before, "after": after})
    pair = torch.stack([aligned.effects["before"], aligned.effects["after"]])
    by_sample = []
    for sample in range(pair.shape[1]):
        change = (pair[1, sample] - pair[0, sample]).flatten()
        terms = []
        for position in change.abs().argsort(descending=True, stable=True).tolist():
            if change[position] == 0:
                break
            kind, subset = divmod(position, pair.shape[-1])
            effects = pair[:, sample, kind, subset].tolist()
            terms.append(TermChange(TYPES[kind], aligned.members(subset), *effects))
        by_sample.append(terms)
    return by_sample


def players_concerned(terms: Sequence[TermChange], total: float, n_players: int) -> tuple[int, ...]:
    """Players of the strongest interactions that moved the output in the direction in which it changed.

    At most three interactions, and at most half of the players, so that the masked sample still shows something.

    Parameters
    ----------
    terms : sequence of TermChange
        The strongest change first.
    total : float
        Change of the output: v(N) after minus v(N) before.
    n_players : int
        Number of players of the game.

    Returns
    -------
    tuple of int
        Indices of the players, ascending.
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
    """A mask that hides the given players, and masks that hide random sets of as many players.

    Parameters
    ----------
    players : sequence of int
        At least one, at most half of all players.
    n_players : int
        Number of players of the game.
    seed : int
        Seed of the random sets.

    Returns
    -------
    Tensor
        Bool (1 + draws, n_players), False where a player is hidden; all rows differ. There are 16 draws, or fewer if
        there are not as many different sets.

    Raises
    ------
    BequeathError
        If there are no players, or more than half of all.
    """
    if not 1 <= len(players) <= n_players // 2:
        raise BequeathError(f"hiding: {len(players)} of {n_players} players given; give 1 to half of them")
    rng = np.random.default_rng(seed)
    sets = {tuple(sorted(players))}
    wanted = 1 + min(DRAWS, comb(n_players, len(players)) - 1)
    while len(sets) < wanted:
        sets.add(tuple(sorted(rng.choice(n_players, len(players), replace=False).tolist())))
    first, *others = sorted(sets, key=lambda hidden: hidden != tuple(sorted(players)))
    masks = torch.ones(wanted, n_players, dtype=torch.bool)
    for row, hidden in zip(masks, (first, *sorted(others)), strict=True):
        row[list(hidden)] = False
    return masks


@dataclass(frozen=True)
class HidingCheck:
    """Whether the difference between two models' outputs changes as the readings predict when players are hidden.

    Attributes
    ----------
    measurable : int
        Number of samples in which both halves of the masks predict the same direction; `right` is over these.
    right : Estimate
        Share of the measurable samples in which the difference moves in the predicted direction: 0 to 1, higher is
        better, with Wilson's interval. NaN if no sample is measurable.
    right_at_random : Estimate
        The same for random sets of as many players: how well the effect of hiding any players is predicted.
    said, undone : Estimate
        Share of the change between the models that is taken away by hiding the players concerned: as predicted by the
        readings, and as measured. 1: all of it; 0: none of it. Ratios of sums over all samples.
    undone_at_random : Estimate
        The measured share for random sets of as many players: the chance level of `undone`.
    more : Estimate
        `undone` minus `undone_at_random`: above 0 if the players concerned matter more than random ones.
    """

    measurable: int
    right: Estimate
    right_at_random: Estimate
    said: Estimate
    undone: Estimate
    undone_at_random: Estimate
    more: Estimate


def hiding_check(
    total: ArrayLike,
    predicted: Sequence[ArrayLike],
    measured: Sequence[ArrayLike],
    measurable: Sequence[bool],
) -> HidingCheck:
    """Compare the predicted effect of hiding players with the measured one.

    Parameters
    ----------
    total : array_like
        v(N) after minus v(N) before of each sample, (samples,).
    predicted, measured : sequence of array_like
        For each sample: how the difference between the models changes from all players shown to each mask of
        `hiding_masks`, (1 + draws,), as the readings predict it and as the models show it.
    measurable : sequence of bool
        For each sample: whether its readings predict a direction for the first mask.

    Returns
    -------
    HidingCheck
    """
    change = np.asarray(total, np.float64)
    size, sign = np.abs(change), np.sign(change)
    forecasts, effects = ([np.asarray(row, np.float64) for row in rows] for rows in (predicted, measured))
    agree = [np.sign(a) == np.sign(b) for a, b in zip(forecasts, effects, strict=True)]
    judged = [row for row, is_measurable in zip(agree, measurable, strict=True) if is_measurable]
    of_draws = np.array([_mean(-row[1:]) for row in effects]) * sign
    at_random = np.where(np.isfinite(of_draws), of_draws, 0.0)
    own = np.array([-row[0] for row in effects]) * sign
    return HidingCheck(
        len(judged),
        share_of([bool(row[0]) for row in judged]),
        _mean_of([_mean(row[1:]) for row in judged]),
        _ratio(np.array([-row[0] for row in forecasts]) * sign, size),
        _ratio(own, size),
        _ratio(at_random, size),
        _ratio(own - at_random, size),
    )


def _mean(values: ArrayLike) -> float:
    row = np.asarray(values, np.float64)
    return float(row.mean()) if row.size else float("nan")


def _empty() -> Estimate:
    return Estimate(float("nan"), float("nan"), float("nan"), 0)


def share_of(right: Sequence[bool]) -> Estimate:
    """Share of True, with Wilson's interval. Unlike a bootstrap interval it also has a width if all are True."""
    if not right:
        return _empty()
    interval = scipy.stats.binomtest(sum(right), len(right)).proportion_ci(CONFIDENCE, "wilson")
    return Estimate(sum(right) / len(right), float(interval.low), float(interval.high), len(right))


def _mean_of(values: Sequence[float]) -> Estimate:
    known = [value for value in values if np.isfinite(value)]
    return mean_estimate(known) if known else _empty()


def _ratio(top: ArrayLike, bottom: ArrayLike) -> Estimate:
    return ratio_estimate(top, bottom) if np.size(bottom) else _empty()
