"""One table: which terms, how strong, chosen by cross-validation over its masks.

Two families of fits are compared. *Plain*: the lasso with weights that grow with the order, with a small ridge (the
elastic net, Zou & Hastie 2005) or without. *Adaptive*: a second lasso on the terms of the first, where strong terms are
penalised less (Zou 2006). In both, the fit on the chosen terms may
keep all of the shrinkage, half or none of it (the relaxed lasso, Meinshausen 2007). Family, shrinkage and penalty are
those of the least error on masks that were left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.path import homotopy
from bequeath.lattice.sparse.terms import Bits, Floats
from bequeath.lattice.sparse.walk import Walk

# Shares of the shrinkage that are taken away again.
RELAXED = (0.0, 0.5, 1.0)
FAMILIES = ("plain", "adaptive")
# Penalties as shares of the values' standard deviation, largest first. No term of weight 1 or more enters above 0.5.
PENALTIES = np.geomspace(0.5, 1e-4, 64)
# Validation goes down the penalties in steps, and stops where the least error lies so many places before the end: the
# later part of a path is the longest. A few folds find out where that is.
_FIRST, _STEP, _BEYOND, _SCOUTS = 30, 6, 2, 2
# Relative to the number of masks: names one solution where columns depend on each other.
RIDGE = 1e-7
# The plain family's ridge weighs as much as one mask, or as a hundredth of few masks. Columns of AND and OR terms that
# share players are much alike; the ridge lets them share a coefficient instead of picking one by chance. It fades as
# masks are added.
SHARING, _SHARING_OF_FEW = 1.0, 0.01
# Chosen terms at most.
MOST = 1000
# Another setting than the plain fit must lower the error by so many standard errors of the difference, and the terms
# must lower it by so many, or there are none.
_BETTER, _DOUBT = 1.5, 2.5
# Weight of a term in the adaptive family: 0.1 * largest / (|b| + 0.02 * largest).
_ADAPTIVE, _FLOOR = 0.1, 0.02


class Choice(NamedTuple):
    """Family, place in `RELAXED` and place in the penalties."""

    family: int
    relaxed: int
    penalty: int


@dataclass(frozen=True)
class Path:
    """Fits at falling penalties, over a list of terms: (penalties reached, chosen terms at most) each.

    `members` are places in the list, -1 behind the last; `shrunk` and `full` the coefficients with and without
    shrinkage; `fits`, `slopes` (penalties, 64 * words): fitted values, and what taking away the shrinkage adds.
    """

    members: NDArray[np.int64]
    shrunk: Floats
    full: Floats
    fits: Floats
    slopes: Floats
    steps: int

    def __len__(self) -> int:
        return len(self.members)

    def coefficients(self, penalty: int, relaxed: float) -> tuple[NDArray[np.int64], Floats]:
        """Chosen terms and their coefficients."""
        chosen = self.members[penalty] >= 0
        shrunk, full = self.shrunk[penalty, chosen], self.full[penalty, chosen]
        return self.members[penalty, chosen], shrunk + relaxed * (full - shrunk)

    def fitted(self, relaxed: float) -> Floats:
        """Fitted values on all masks, (penalties, 64 * words)."""
        return self.fits + relaxed * self.slopes


def ridge_of(number: int, sharing: bool) -> float:
    """What is added to the diagonal of the Gram matrix over so many masks: of the elastic net, or of the lasso."""
    return RIDGE * number + (min(SHARING, _SHARING_OF_FEW * number) if sharing else 0.0)


def follow(
    bits: Bits,
    weights: Floats,
    rows: Floats,
    y: Floats,
    penalties: Floats,
    most: int = MOST,
    sharing: bool = False,
) -> Path:
    """The path on the masks in `rows`, at these penalties on the mean squared error, up to so many chosen terms."""
    return Course(bits, weights, rows, y, penalties, most, sharing).to(len(penalties))


class Course:
    """A path that is followed as far as it is asked for, and then further; arguments as in `follow`."""

    def __init__(
        self,
        bits: Bits,
        weights: Floats,
        rows: Floats,
        y: Floats,
        penalties: Floats,
        most: int = MOST,
        sharing: bool = False,
    ) -> None:
        number = int(rows.sum())
        most = max(1, min(most, number - 1, bits.shape[1]))
        self._problem = bits, rows, y, weights, ridge_of(number, sharing)
        self._lams = penalties * number
        self._walk = Walk.begun(bits, rows, y, weights, len(penalties), most)

    def to(self, stop: int) -> Path:
        """The path at the first `stop` penalties."""
        walk = self._walk
        homotopy(*self._problem, self._lams[:stop], walk)
        end = slice(0, min(walk.reached, stop))
        return Path(
            walk.members[end],
            walk.shrunk[end],
            walk.full[end],
            walk.fits[end],
            walk.slopes[end],
            walk.pieces,
        )


def second(path: Path, at: int, weights: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The terms of the adaptive family, and their weights: from the fit at one penalty of the plain one."""
    members, b = path.coefficients(min(at, len(path) - 1), 0.0)
    if not len(members):
        return members, weights[:0]
    largest = np.abs(b).max()
    order = np.argsort(members)
    adapted = _ADAPTIVE * largest / (np.abs(b) + _FLOOR * largest) * weights[members]
    return members[order], np.asarray(adapted[order])


def restricted(
    bits: Bits, weights: Floats, rows: Floats, y: Floats, penalties: Floats, plain: Path, at: int
) -> tuple[NDArray[np.int64], Path]:
    """The adaptive family's path, and the places of its terms among all."""
    members, adapted = second(plain, at, weights)
    if not len(members):
        members, adapted = np.zeros(1, np.int64), np.full(1, np.inf)
    return members, follow(np.ascontiguousarray(bits[:, members]), adapted, rows, y, penalties)


def chosen_fit(
    bits: Bits,
    weights: Floats,
    rows: Floats,
    y: Floats,
    penalties: Floats,
    choice: Choice,
    plain_at: int,
    sharing: bool = False,
) -> tuple[NDArray[np.int64], Floats, Path]:
    """The terms and coefficients of one choice, zeros left out, and the plain path they come from."""
    last = plain_at if choice.family else choice.penalty
    plain = follow(bits, weights, rows, y, penalties[: last + 1], sharing=sharing)
    relaxed = RELAXED[choice.relaxed]
    if choice.family:
        places, path = restricted(bits, weights, rows, y, penalties[: choice.penalty + 1], plain, plain_at)
    else:
        places, path = np.arange(bits.shape[1]), plain
    members, b = path.coefficients(min(choice.penalty, len(path) - 1), relaxed)
    members, b = places[members], np.where(np.abs(b) > 0, b, 0.0)
    order = np.argsort(members)
    order = order[b[order] != 0]
    return members[order], b[order], plain


@dataclass(frozen=True)
class Validation:
    """Squared errors on the masks left out: (families, relaxations, penalties, folds).

    `null`: (folds,), those of the mean of the other masks. `plain`: place of the plain fit's penalty of least error.
    `sharing`: whether the plain fit is an elastic net, not a lasso.
    """

    errors: Floats
    null: Floats
    plain: int
    sharing: bool

    def choice(self, but: int | None = None) -> Choice:
        """Family, relaxation and penalty, judged on all folds or all but one.

        The plain fit, unless another setting's error is smaller by more than 1.5 standard errors of the difference
        over folds: of those the one with the least error. No terms at all, unless that is worse by 2.5 such errors.
        """
        errors = self.errors if but is None else np.delete(self.errors, but, axis=-1)
        total = errors.sum(-1)
        start = _least(total[0, 0])
        best, gain = Choice(0, 0, start), 0.0
        if errors.shape[-1] < 3:
            return best
        for family in range(len(FAMILIES)):
            for relaxed in range(len(RELAXED)):
                penalty = _least(total[family, relaxed])
                gains = errors[0, 0, start] - errors[family, relaxed, penalty]
                if gains.sum() > max(gain, _BETTER * _sum_error(gains)):
                    best, gain = Choice(family, relaxed, penalty), float(gains.sum())
        gains = errors[0, 0, 0] - errors[best]
        return best if gains.sum() > _DOUBT * _sum_error(gains) else Choice(0, 0, 0)

    @property
    def sparse(self) -> bool:
        """Whether some adaptive fit has a smaller error than all plain ones."""
        least = self.errors.sum(-1).min((1, 2))
        return bool(least[1] < least[0])

    @property
    def r2(self) -> float:
        """R2 on left-out masks; the settings for each fold are chosen on the other folds."""
        error = sum(self.errors[(*self.choice(but=k), k)] for k in range(len(self.null)))
        return float(1.0 - error / self.null.sum())

    @property
    def mean_error(self) -> float:
        """Mean squared error of the chosen settings, summed over all masks."""
        return float(self.errors[self.choice()].sum())


def validate(
    bits: list[Bits],
    weights: list[Floats],
    used: Floats,
    folds: NDArray[np.int64],
    y: Floats,
    penalties: Floats,
    sharing: bool = False,
) -> Validation:
    """Cross-validate one table.

    Parameters
    ----------
    bits, weights : list
        Candidate terms of each fold; they must not have been chosen by its left-out masks.
    used : (64 * words,)
        1 for the masks of the fit.
    folds : (64 * words,)
        In which fold each is left out; -1 for masks that are in none.
    sharing : bool
        Whether the plain family has the ridge.
    """
    number, stop = len(bits), min(_FIRST, len(penalties))
    courses: list[Course] = []
    while True:
        plain: list[Path] = []
        for k in range(number):
            if k == len(courses):
                courses.append(
                    Course(bits[k], weights[k], _rows(used, folds, k), y, penalties, sharing=sharing)
                )
            plain.append(courses[k].to(stop))
            some = _errors(plain, folds, y, stop).sum(-1)
            turned = _least(some[0]) < stop - _BEYOND
            if k + 1 >= min(_SCOUTS, number) and not turned and stop < len(penalties):
                break
        else:
            found = _with_adaptive(plain, bits, weights, used, folds, y, penalties[:stop], sharing)
            if found.choice().penalty < stop - _BEYOND or stop == len(penalties):
                return found
        stop = min(stop + _STEP, len(penalties))


def _with_adaptive(
    plain: list[Path],
    bits: list[Bits],
    weights: list[Floats],
    used: Floats,
    folds: NDArray[np.int64],
    y: Floats,
    penalties: Floats,
    sharing: bool,
) -> Validation:
    errors = _errors(plain, folds, y, len(penalties))
    at = _least(errors[0].sum(-1))
    adaptive = [
        restricted(bits[k], weights[k], _rows(used, folds, k), y, penalties, plain[k], at)[1]
        for k in range(len(bits))
    ]
    null = np.zeros(len(bits))
    for k in range(len(bits)):
        rows = _rows(used, folds, k)
        null[k] = ((y[folds == k] - float(rows @ y) / rows.sum()) ** 2).sum()
    errors = np.stack((errors, _errors(adaptive, folds, y, len(penalties))))
    return Validation(errors, null, at, sharing)


def _rows(used: Floats, folds: NDArray[np.int64], fold: int) -> Floats:
    """The masks that are used when a fold is left out."""
    return np.asarray(used - (folds == fold))


def _errors(paths: list[Path], folds: NDArray[np.int64], y: Floats, penalties: int) -> Floats:
    """Squared errors on the left-out masks, (relaxations, penalties, paths); a path that ended early stays there."""
    errors = np.empty((len(RELAXED), penalties, len(paths)))
    for k, path in enumerate(paths):
        out = np.flatnonzero(folds == k)
        left, slopes = y[out] - path.fits[:, out], path.slopes[:, out]
        for i, relaxed in enumerate(RELAXED):
            errors[i, : len(path), k] = ((left - relaxed * slopes) ** 2).sum(1)
            errors[i, len(path) :, k] = errors[i, len(path) - 1, k]
    return errors


def _least(curve: Floats) -> int:
    """The penalty of the least error. Without shrinkage many may have the same one, up to rounding: the middle one."""
    equal = np.flatnonzero(curve <= curve.min() * (1 + 1e-9))
    return int(equal[len(equal) // 2])


def _sum_error(gains: Floats) -> float:
    """Standard error of a sum over folds."""
    return float(gains.std(ddof=1) * len(gains) ** 0.5)
