"""The state of a lasso path and its results so far (see `bequeath.lattice.sparse.path`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.compiled import compiled
from bequeath.lattice.sparse.kernels import counts, products
from bequeath.lattice.sparse.terms import Bits, Floats

# Indices into `Walk.whole`: number of chosen terms, penalties reached, number of pieces, the term that joins next
# (-1: a term leaves instead, -2: the end), index of the term that leaves, the term that left last, and whether the end
# of the current piece is still ahead. Indices into `Walk.real`: penalty, number of masks in use, length of the piece.
SIZE, DONE, STEPS, JOINING, LEAVING, DROPPED, WITHIN = range(7)
LAM, NUMBER, LENGTH = range(3)


class Walk(NamedTuple):
    """The state from which `homotopy` continues a path.

    Attributes
    ----------
    members, shrunk, full : ndarray
        (penalties, most): chosen terms (padded by -1), coefficients with and without shrinkage.
    fits, slopes : ndarray
        (penalties, 64 * words): fitted values, and what removing the shrinkage adds to them.
    whole, real : ndarray
        Integers and numbers of the state, at the indices named above.
    packed : ndarray
        (words,): the masks in use, as bits.
    ones : ndarray
        (terms,): number of masks in use in which each term is present.
    fit, slope : ndarray
        (64 * words,): fitted values at the start of the current piece, and their change along it.
    c, a : ndarray
        (terms,): inner product of each column with the residual, and its change along the current piece.
    place, blocked : ndarray
        (terms,): index of each term among the active ones, -1 if it is not active; whether it can never join.
    active, beta, direction, sign : ndarray
        (most,): active terms, their coefficients, the change along the piece, and their signs.
    factor, cols : ndarray
        Cholesky factor of the active terms, (most, most), and their columns, (most, words).
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
        """The start of a walk through up to `penalties` penalties and `most` chosen terms; arguments as `homotopy`."""
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
        """Number of penalties that were reached."""
        return int(self.whole[DONE])

    @property
    def pieces(self) -> int:
        """Number of linear pieces so far."""
        return int(self.whole[STEPS])


@compiled
def _begin(bits, rows, y, weight, walk):
    """Set up the fit without terms, and the first term that joins."""
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
    residual = np.empty(rows.size)
    for k in range(rows.size):
        residual[k] = (y[k] - mean) * rows[k]
    products(bits, residual, walk.c)
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
