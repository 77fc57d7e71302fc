"""Cross-validation of the settings of a fit over masks: family, shrinkage and penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.selection import FAMILIES, RELAXED, Choice, Course, Path, restricted
from bequeath.lattice.sparse.terms import Bits, Floats

# Validation covers _FIRST penalties, then _STEP more at a time, until the least error is more than _BEYOND penalties
# before the end, because the end of a path takes most of the time. _SCOUTS folds decide whether to go on.
_FIRST, _STEP, _BEYOND, _SCOUTS = 30, 6, 2, 2
# A setting replaces the plain fit if it lowers the error by _BETTER standard errors of the difference. Terms are used
# at all only if they lower the error by _DOUBT standard errors.
_BETTER, _DOUBT = 1.5, 2.5


@dataclass(frozen=True)
class Validation:
    """Errors of all settings on left-out masks.

    Attributes
    ----------
    errors : ndarray
        (families, relaxations, penalties, folds): squared errors on the masks of each fold, which were left out.
    null : ndarray
        (folds,): squared errors of the mean of the other masks.
    plain : int
        Index of the penalty with the least error of the plain fit.
    sharing : bool
        Whether the plain fit is an elastic net instead of a lasso.
    """

    errors: Floats
    null: Floats
    plain: int
    sharing: bool

    def choice(self, but: int | None = None) -> Choice:
        """The best family, relaxation and penalty, by the errors of all folds, or of all but one.

        It is the plain fit, unless the error of another setting is smaller by 1.5 standard errors of the difference
        over folds; of these, the one with the least error. If it is not better than no terms at all by 2.5 standard
        errors, there are no terms.
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
        """Whether an adaptive fit has a smaller error than all plain fits."""
        least = self.errors.sum(-1).min((1, 2))
        return bool(least[1] < least[0])

    @property
    def r2(self) -> float:
        """R2 on left-out masks; the setting for each fold is chosen by the other folds."""
        error = sum(self.errors[(*self.choice(but=k), k)] for k in range(len(self.null)))
        return float(1.0 - error / self.null.sum())

    @property
    def mean_error(self) -> float:
        """Squared error of the chosen setting, summed over all masks."""
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
    """Cross-validate the settings for one table.

    Parameters
    ----------
    bits, weights : list of ndarray
        Candidate terms of each fold, chosen without its left-out masks.
    used : ndarray
        (64 * words,): 1 for the masks of the fit.
    folds : ndarray
        (64 * words,): the fold in which each mask is left out; -1 for none.
    y : ndarray
        (64 * words,): values.
    penalties : ndarray
        Penalties on the mean squared error, largest first.
    sharing : bool
        Whether the plain family has the larger ridge.

    Returns
    -------
    Validation
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
            so_far = _errors(plain, folds, y, stop).sum(-1)
            past_least = _least(so_far[0]) < stop - _BEYOND
            if k + 1 >= min(_SCOUTS, number) and not past_least and stop < len(penalties):
                break
        else:
            validation = _with_adaptive(plain, bits, weights, used, folds, y, penalties[:stop], sharing)
            if validation.choice().penalty < stop - _BEYOND or stop == len(penalties):
                return validation
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
    """Squared errors on left-out masks, (relaxations, penalties, paths); after its end, a path keeps its last error."""
    errors = np.empty((len(RELAXED), penalties, len(paths)))
    for k, path in enumerate(paths):
        left_out = np.flatnonzero(folds == k)
        residual, slopes = y[left_out] - path.fits[:, left_out], path.slopes[:, left_out]
        for i, relaxed in enumerate(RELAXED):
            errors[i, : len(path), k] = ((residual - relaxed * slopes) ** 2).sum(1)
            errors[i, len(path) :, k] = errors[i, len(path) - 1, k]
    return errors


def _least(curve: Floats) -> int:
    """Index of the penalty with the least error; the middle one of those that are equal up to rounding."""
    equal = np.flatnonzero(curve <= curve.min() * (1 + 1e-9))
    return int(equal[len(equal) // 2])


def _sum_error(gains: Floats) -> float:
    """Standard error of a sum over folds."""
    return float(gains.std(ddof=1) * len(gains) ** 0.5)
