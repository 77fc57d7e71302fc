"""The state of a lasso path: how far it has been followed, and the results so far (`bequeath.lattice.sparse.path`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.compiled import compiled
from bequeath.lattice.sparse.kernels import counts, products
from bequeath.lattice.sparse.terms import Bits, Floats

# Where an integer or a number of a walk's state stands: chosen terms, penalties reached, pieces, the term that joins
# next (-1: none but one leaves, -2: the end), the place that leaves, the term that left last, and whether a piece is
# begun whose end is not reached; the penalty, masks in use, and the length of the piece.
SIZE, DONE, STEPS, JOINING, LEAVING, DROPPED, WITHIN = range(7)
LAM, NUMBER, LENGTH = range(3)


class Walk(NamedTuple):
    """A path and how far it has been followed: what `homotopy` goes on from.

    Attributes
    ----------
    members, shrunk, full : ndarray
        (penalties, most): chosen terms (-1 behind the last), coefficients with and without shrinkage.
    fits, slopes : ndarray
        (penalties, 64 * words): fitted values, and what taking away the shrinkage adds to them.
    """

    members: NDArray[np.int64]
    shrunk: Floats
    full: Floats
    fits: Floats
    slopes: Floats
    whole: NDArray[np.int64]
    real: Floats
    packed: Bits
    ones: Floats
    fit: Floats
    slope: Floats
    c: Floats
    a: Floats
    place: NDArray[np.int64]
    blocked: NDArray[np.bool_]
    active: NDArray[np.int64]
    beta: Floats
    direction: Floats
    sign: Floats
    factor: Floats
    cols: Bits

    @classmethod
    def begun(cls, bits: Bits, rows: Floats, y: Floats, weight: Floats, penalties: int, most: int) -> Walk:
        """A walk of so many penalties at most and up to so many chosen terms, at its start (arguments: `homotopy`)."""
        words, terms = bits.shape
        length = 64 * words
        by_penalty, by_mask = (penalties, most), (penalties, length)
        walk = cls(
            np.full(by_penalty, -1),
            np.zeros(by_penalty),
            np.zeros(by_penalty),
            np.zeros(by_mask),
            np.zeros(by_mask),
            np.zeros(7, np.int64),
            np.zeros(3),
            np.zeros(words, np.uint64),
            np.empty(terms),
            np.zeros(length),
            np.zeros(length),
            np.empty(terms),
            np.empty(terms),
            np.full(terms, -1),
            np.zeros(terms, bool),
            np.zeros(most, np.int64),
            np.zeros(most),
            np.zeros(most),
            np.zeros(most),
            np.zeros((most, most)),
            np.zeros((most, words), np.uint64),
        )
        _begin(bits, rows, y, weight, walk)
        return walk

    @property
    def reached(self) -> int:
        """Penalties that were reached."""
        return int(self.whole[DONE])

    @property
    def pieces(self) -> int:
        """Linear pieces so far."""
        return int(self.whole[STEPS])


@compiled
def _begin(bits, rows, y, weight, walk):
    """The fit without terms, and the term that joins first."""
    terms = bits.shape[1]
    number = 0.0
    for k in range(rows.size):
        if rows[k] > 0.0:
            walk.packed[k // 64] |= np.uint64(1) << np.uint64(k % 64)
            number += 1.0
    counts(bits, walk.packed, walk.ones)
    mean = 0.0
    for k in range(rows.size):
        mean += y[k] * rows[k]
    mean /= number
    walk.fit[:] = mean
    rest = np.empty(rows.size)
    for k in range(rows.size):
        rest[k] = (y[k] - mean) * rows[k]
    products(bits, rest, walk.c)
    lam = 0.0
    first = -1
    for j in range(terms):
        if weight[j] > 0.0 and walk.ones[j] > 0.0 and walk.ones[j] != number:
            if abs(walk.c[j]) / weight[j] > lam:
                lam = abs(walk.c[j]) / weight[j]
                first = j
        else:
            walk.blocked[j] = True
    walk.real[LAM] = lam
    walk.real[NUMBER] = number
    walk.whole[JOINING] = first
    walk.whole[DROPPED] = -1
