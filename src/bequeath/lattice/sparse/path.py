"""The whole lasso path of one table, exactly, by homotopy: compiled.

    minimise over b:  1/2 |y - X b|^2 + lam sum_j w_j |b_j| + ridge/2 |b|^2,    lam from large to small.

The solution is piecewise linear in lam (Osborne, Presnell, Turlach 2000; Efron et al. 2004). On each piece
b(lam) = refit - lam * direction, where `refit` is the least-squares fit on the chosen terms: so the fit without
shrinkage, and its error on masks that were left out, cost nothing beside the path. The vanishing ridge names one
solution where the columns depend on each other (AND{i,j} + OR{i,j} = {i} + {j} on every mask).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.kernels import add_column, common, compiled, counts, products, summing
from bequeath.lattice.sparse.terms import Bits, Floats


@summing
def _join(factor, row, diagonal, size):
    """Append a row and column to the Cholesky factor (lower) of `size` terms; False where it is dependent."""
    for i in range(size):
        total = row[i]
        for j in range(i):
            total -= factor[i, j] * factor[size, j]
        factor[size, i] = total / factor[i, i]
    pivot = diagonal
    for j in range(size):
        pivot -= factor[size, j] * factor[size, j]
    if pivot <= 1e-12 * diagonal:
        return False
    factor[size, size] = np.sqrt(pivot)
    return True


@compiled
def _leave(factor, place, size):
    """Take term `place` out of the Cholesky factor of `size` terms, by rotations."""
    for i in range(place + 1, size):
        for j in range(i + 1):
            factor[i - 1, j] = factor[i, j]
    for i in range(place, size - 1):
        a, b = factor[i, i], factor[i, i + 1]
        length = np.hypot(a, b)
        cos, sin = a / length, b / length
        for k in range(i, size - 1):
            first, second = factor[k, i], factor[k, i + 1]
            factor[k, i] = cos * first + sin * second
            factor[k, i + 1] = cos * second - sin * first
        factor[i, i + 1] = 0.0


@summing
def _solve(factor, right, size, out):
    for i in range(size):
        total = right[i]
        for j in range(i):
            total -= factor[i, j] * out[j]
        out[i] = total / factor[i, i]
    for back in range(size):
        i = size - 1 - back
        out[i] /= factor[i, i]
        value = out[i]
        for j in range(i):
            out[j] -= factor[i, j] * value


@summing
def _centre(x, used, number):
    """Subtract the mean over the used masks."""
    mean = 0.0
    for k in range(x.size):
        mean += x[k] * used[k]
    mean /= number
    for k in range(x.size):
        x[k] -= mean


# Where an integer or a number of a walk's state stands: chosen terms, penalties reached, pieces, the term that joins
# next (-1: none but one leaves, -2: the end), the place that leaves, the term that left last, and whether a piece is
# begun whose end is not reached; the penalty, masks in use, and the length of the piece.
_SIZE, _DONE, _STEPS, _JOINING, _LEAVING, _DROPPED, _WITHIN = range(7)
_LAM, _NUMBER, _LENGTH = range(3)


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
        return int(self.whole[_DONE])

    @property
    def pieces(self) -> int:
        """Linear pieces so far."""
        return int(self.whole[_STEPS])


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
    walk.real[_LAM] = lam
    walk.real[_NUMBER] = number
    walk.whole[_JOINING] = first
    walk.whole[_DROPPED] = -1


@compiled
def _joined(bits, walk, ridge, row):
    """Take in the term that joins; False where there is no room for it."""
    size, joining, number = walk.whole[_SIZE], walk.whole[_JOINING], walk.real[_NUMBER]
    if size == walk.active.size or size + 1 >= number:
        return False
    ones = walk.ones
    for w in range(bits.shape[0]):
        walk.cols[size, w] = bits[w, joining] & walk.packed[w]
    for q in range(size):
        row[q] = common(walk.cols[q], walk.cols[size]) - ones[walk.active[q]] * ones[joining] / number
    diagonal = ones[joining] + ridge - ones[joining] * ones[joining] / number
    if _join(walk.factor, row, diagonal, size):
        walk.active[size] = joining
        walk.place[joining] = size
        walk.sign[size] = 1.0 if walk.c[joining] > 0 else -1.0
        walk.beta[size] = 0.0
        walk.whole[_SIZE] += 1
    else:
        walk.blocked[joining] = True
    return True


@compiled
def _find_piece(bits, rows, weight, walk, right, rest):
    """The direction of the next piece, its length, and what happens at its end."""
    size, dropped, lam = walk.whole[_SIZE], walk.whole[_DROPPED], walk.real[_LAM]
    for q in range(size):
        right[q] = walk.sign[q] * weight[walk.active[q]]
    _solve(walk.factor, right, size, walk.direction)
    walk.slope[:] = 0.0
    for q in range(size):
        add_column(bits, walk.active[q], walk.direction[q], walk.slope)
    _centre(walk.slope, rows, walk.real[_NUMBER])
    for k in range(rows.size):
        rest[k] = walk.slope[k] * rows[k]
    products(bits, rest, walk.a)
    # c_j(lam - g) = c_j - g a_j for terms outside; join where it meets (lam - g) w_j.
    step = lam
    joining = -2
    leaving = -1
    for j in range(bits.shape[1]):
        if walk.place[j] >= 0 or walk.blocked[j]:
            continue
        w_j = weight[j]
        up = w_j - walk.a[j]
        if up > 1e-12 * w_j:
            g = (lam * w_j - walk.c[j]) / up
            if j == dropped and g < 1e-9 * lam:
                g = np.inf
            if g < step:
                step = max(g, 0.0)
                joining = j
        down = w_j + walk.a[j]
        if down > 1e-12 * w_j:
            g = (lam * w_j + walk.c[j]) / down
            if j == dropped and g < 1e-9 * lam:
                g = np.inf
            if g < step:
                step = max(g, 0.0)
                joining = j
    for q in range(size):
        if walk.direction[q] * walk.sign[q] < 0.0:
            g = -walk.beta[q] / walk.direction[q]
            if g < step:
                step = max(g, 0.0)
                joining = -1
                leaving = q
    walk.real[_LENGTH] = step
    walk.whole[_JOINING] = joining
    walk.whole[_LEAVING] = leaving


@compiled
def _tell(lam, walk):
    """The solution at a penalty of the piece at hand, in the next row of the results."""
    done, size = walk.whole[_DONE], walk.whole[_SIZE]
    g = walk.real[_LAM] - lam
    for q in range(size):
        walk.members[done, q] = walk.active[q]
        walk.shrunk[done, q] = walk.beta[q] + g * walk.direction[q]
        walk.full[done, q] = walk.beta[q] + walk.real[_LAM] * walk.direction[q]
    for k in range(walk.fit.size):
        walk.fits[done, k] = walk.fit[k] + g * walk.slope[k]
        walk.slopes[done, k] = lam * walk.slope[k]
    walk.whole[_DONE] += 1


@compiled
def _end_piece(bits, rows, y, walk, rest):
    """Go to the end of the piece at hand; the term that leaves there, leaves."""
    size, step, leaving = walk.whole[_SIZE], walk.real[_LENGTH], walk.whole[_LEAVING]
    for q in range(size):
        walk.beta[q] += step * walk.direction[q]
    for k in range(walk.fit.size):
        walk.fit[k] += step * walk.slope[k]
    walk.real[_LAM] -= step
    walk.whole[_DROPPED] = -1
    if leaving >= 0:
        walk.whole[_DROPPED] = walk.active[leaving]
        walk.place[walk.active[leaving]] = -1
        _leave(walk.factor, leaving, size)
        for q in range(leaving, size - 1):
            walk.active[q] = walk.active[q + 1]
            walk.beta[q] = walk.beta[q + 1]
            walk.sign[q] = walk.sign[q + 1]
            walk.cols[q] = walk.cols[q + 1]
            walk.place[walk.active[q]] = q
        walk.whole[_SIZE] -= 1
    if walk.whole[_STEPS] % 32 == 0:
        for k in range(walk.fit.size):
            rest[k] = (y[k] - walk.fit[k]) * rows[k]
        products(bits, rest, walk.c)
    else:
        for j in range(bits.shape[1]):
            walk.c[j] -= step * walk.a[j]


@compiled
def homotopy(bits, rows, y, weight, ridge, lams, walk):
    """Follow a walk through the falling penalties `lams`: those that it has reached, and more.

    A constant is fitted beside the terms.

    Parameters
    ----------
    bits : uint64 (words, terms)
    rows : float64 (64 * words,), 1 for masks to be used, 0 for others
    y : float64 (64 * words,)
    weight : float64 (terms,), 0 or below: the term is left out
    ridge : added to the diagonal
    lams : float64 (penalties,)
    walk : Walk, changed; it stops beyond as many chosen terms as it has room for
    """
    most = walk.active.size
    whole, real = walk.whole, walk.real
    right, row, rest = np.zeros(most), np.zeros(most), np.empty(rows.size)
    while whole[_STEPS] == 0 and whole[_DONE] < lams.size and lams[whole[_DONE]] >= real[_LAM]:
        walk.fits[whole[_DONE]] = walk.fit
        whole[_DONE] += 1
    while (
        whole[_DONE] < lams.size and (whole[_WITHIN] or whole[_JOINING] != -2) and whole[_STEPS] < 20 * most
    ):
        if not whole[_WITHIN]:
            whole[_STEPS] += 1
            if whole[_JOINING] >= 0 and not _joined(bits, walk, ridge, row):
                whole[_JOINING] = -2
                break
            _find_piece(bits, rows, weight, walk, right, rest)
            whole[_WITHIN] = 1
        while whole[_DONE] < lams.size and lams[whole[_DONE]] >= real[_LAM] - real[_LENGTH]:
            _tell(lams[whole[_DONE]], walk)
        if whole[_DONE] < lams.size:  # else more penalties of this piece may be asked for later
            _end_piece(bits, rows, y, walk, rest)
            whole[_WITHIN] = 0
