"""Selects the terms of one table and their strengths by cross-validation over its masks.

Two families of fits are compared. *Plain*: a lasso whose weights grow with the order, with a small ridge (the elastic
net, Zou & Hastie 2005) or without. *Adaptive*: a second lasso on the terms of the first, in which strong terms are
penalised less (Zou 2006). In both families the coefficients keep all, half or none of the shrinkage (the relaxed lasso,
Meinshausen 2007). Family, shrinkage and penalty with the least error on left-out masks are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.path import homotopy
from bequeath.lattice.sparse.terms import Bits, Floats
from bequeath.lattice.sparse.walk import Walk

# Shares of the shrinkage that are removed again.
RELAXED = (0.0, 0.5, 1.0)
FAMILIES = ("plain", "adaptive")
# Penalties as shares of the standard deviation of the values, largest first. No term of weight 1 or more enters above
# 0.5.
PENALTIES = np.geomspace(0.5, 1e-4, 64)
# Ridge relative to the number of masks; it makes the solution unique if columns are linearly dependent.
RIDGE = 1e-7
# The ridge of the plain family weighs as much as one mask, or a hundredth of the masks if they are few. Columns of AND
# and OR terms with common players are similar; with the ridge they share a coefficient instead of one being chosen at
# random. Its influence vanishes as masks are added.
SHARING, _SHARING_OF_FEW = 1.0, 0.01
# Largest number of chosen terms.
MOST = 1000
# Weight of a term in the adaptive family: 0.1 * largest / (|b| + 0.02 * largest).
_ADAPTIVE, _FLOOR = 0.1, 0.02


class Choice(NamedTuple):
    """Family, index in `RELAXED` and index of the penalty."""

    family: int
    relaxed: int
    penalty: int


@dataclass(frozen=True)
class Path:
    """Fits at falling penalties.

    Attributes
    ----------
    members : ndarray
        (penalties, most): indices of the chosen terms, padded by -1.
    shrunk, full : ndarray
        (penalties, most): coefficients with and without shrinkage.
    fits, slopes : ndarray
        (penalties, 64 * words): fitted values, and what removing the shrinkage adds to them.
    steps : int
        Number of linear pieces.
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
        """Chosen terms at one penalty and their coefficients, with a share `relaxed` of the shrinkage removed."""
        chosen = self.members[penalty] >= 0
        shrunk, full = self.shrunk[penalty, chosen], self.full[penalty, chosen]
        return self.members[penalty, chosen], shrunk + relaxed * (full - shrunk)

    def fitted(self, relaxed: float) -> Floats:
        """Fitted values on all masks, (penalties, 64 * words), with a share `relaxed` of the shrinkage removed."""
        return self.fits + relaxed * self.slopes


def ridge_of(number: int, sharing: bool) -> float:
    """Ridge on the diagonal of the Gram matrix over so many masks; with `sharing` that of the elastic net."""
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
    """The path on the masks in `rows`, at penalties on the mean squared error, up to `most` chosen terms.

    Parameters
    ----------
    bits : ndarray
        Packed columns (words, terms).
    weights : ndarray
        Penalty weights (terms,).
    rows : ndarray
        (64 * words,): 1 for masks to be used.
    y : ndarray
        Values (64 * words,).
    penalties : ndarray
        Largest first.
    most : int
        Largest number of chosen terms.
    sharing : bool
        Whether to use the larger ridge (elastic net).

    Returns
    -------
    Path
    """
    return Course(bits, weights, rows, y, penalties, most, sharing).to(len(penalties))


class Course:
    """A path that can be continued; arguments as in `follow`."""

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
    """Terms of the adaptive family and their weights, from the plain fit at one penalty.

    Parameters
    ----------
    path : Path
        Of the plain fit.
    at : int
        Index of the penalty.
    weights : ndarray
        Penalty weights of all terms.

    Returns
    -------
    members, weights : ndarray
        Indices of the terms, ascending, and their weights.
    """
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
    """Indices of the terms of the adaptive family, and its path.

    Parameters
    ----------
    bits, weights, rows, y, penalties
        As for `follow`.
    plain : Path
        Of the plain fit.
    at : int
        Index of the penalty of the plain fit.

    Returns
    -------
    members : ndarray
        Indices of the terms.
    path : Path
        Over these terms.
    """
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
    """Terms and nonzero coefficients of one choice, and the plain path.

    Parameters
    ----------
    bits, weights, rows, y, penalties, sharing
        As for `follow`.
    choice : Choice
        Family, shrinkage and penalty.
    plain_at : int
        Index of the penalty of the plain fit from which the adaptive family starts.

    Returns
    -------
    members : ndarray
        Indices of the chosen terms, ascending.
    b : ndarray
        Their coefficients, in the units of `y`.
    plain : Path
    """
    last = plain_at if choice.family else choice.penalty
    plain = follow(bits, weights, rows, y, penalties[: last + 1], sharing=sharing)
    relaxed = RELAXED[choice.relaxed]
    if choice.family:
        indices, path = restricted(bits, weights, rows, y, penalties[: choice.penalty + 1], plain, plain_at)
    else:
        indices, path = np.arange(bits.shape[1]), plain
    members, b = path.coefficients(min(choice.penalty, len(path) - 1), relaxed)
    members, b = indices[members], np.where(np.abs(b) > 0, b, 0.0)
    order = np.argsort(members)
    order = order[b[order] != 0]
    return members[order], b[order], plain
