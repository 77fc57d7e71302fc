"""The exact lasso path of one table by homotopy, compiled.

    minimise over b:  1/2 |y - X b|^2 + lam sum_j w_j |b_j| + ridge/2 |b|^2,    lam from large to small.

The solution is piecewise linear in lam (Osborne, Presnell, Turlach 2000; Efron et al. 2004). On each piece
b(lam) = refit - lam * direction, where `refit` is the least-squares fit on the chosen terms. So the fit without
shrinkage, and its error on left-out masks, need no further work. The vanishing ridge makes the solution unique if
columns are linearly dependent (AND{i,j} + OR{i,j} = {i} + {j} on every mask).
"""

from __future__ import annotations

import numpy as np

from bequeath.lattice.compiled import compiled, summing
from bequeath.lattice.sparse.kernels import add_column, common, products
from bequeath.lattice.sparse.walk import (
    DONE,
    DROPPED,
    JOINING,
    LAM,
    LEAVING,
    LENGTH,
    NUMBER,
    SIZE,
    STEPS,
    WITHIN,
)


@summing
def _join(factor, row, diagonal, size):
    """Append a row and column to the lower Cholesky factor of `size` terms; False if the term is linearly dependent."""
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
    """Remove the term at index `place` from the Cholesky factor of `size` terms, by rotations."""
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


@compiled
def _joined(bits, walk, ridge, row):
    """Add the term that joins to the active terms; False if there is no room for it."""
    size, joining, number = walk.whole[SIZE], walk.whole[JOINING], walk.real[NUMBER]
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
        walk.whole[SIZE] += 1
    else:
        walk.blocked[joining] = True
    return True


@compiled
def _find_piece(bits, rows, weight, walk, right, residual):
    """Direction and length of the next piece, and the term that joins or leaves at its end."""
    size, dropped, lam = walk.whole[SIZE], walk.whole[DROPPED], walk.real[LAM]
    for q in range(size):
        right[q] = walk.sign[q] * weight[walk.active[q]]
    _solve(walk.factor, right, size, walk.direction)
    walk.slope[:] = 0.0
    for q in range(size):
        add_column(bits, walk.active[q], walk.direction[q], walk.slope)
    _centre(walk.slope, rows, walk.real[NUMBER])
    for k in range(rows.size):
        residual[k] = walk.slope[k] * rows[k]
    products(bits, residual, walk.a)
    # For inactive terms c_j(lam - g) = c_j - g a_j; a term joins where this reaches (lam - g) w_j.
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
    walk.real[LENGTH] = step
    walk.whole[JOINING] = joining
    walk.whole[LEAVING] = leaving


@compiled
def _record(lam, walk):
    """Write the solution at a penalty within the current piece to the next row of the results."""
    done, size = walk.whole[DONE], walk.whole[SIZE]
    g = walk.real[LAM] - lam
    for q in range(size):
        walk.members[done, q] = walk.active[q]
        walk.shrunk[done, q] = walk.beta[q] + g * walk.direction[q]
        walk.full[done, q] = walk.beta[q] + walk.real[LAM] * walk.direction[q]
    for k in range(walk.fit.size):
        walk.fits[done, k] = walk.fit[k] + g * walk.slope[k]
        walk.slopes[done, k] = lam * walk.slope[k]
    walk.whole[DONE] += 1


@compiled
def _end_piece(bits, rows, y, walk, residual):
    """Move to the end of the current piece, and remove the term that leaves there."""
    size, step, leaving = walk.whole[SIZE], walk.real[LENGTH], walk.whole[LEAVING]
    for q in range(size):
        walk.beta[q] += step * walk.direction[q]
    for k in range(walk.fit.size):
        walk.fit[k] += step * walk.slope[k]
    walk.real[LAM] -= step
    walk.whole[DROPPED] = -1
    if leaving >= 0:
        walk.whole[DROPPED] = walk.active[leaving]
        walk.place[walk.active[leaving]] = -1
        _leave(walk.factor, leaving, size)
        for q in range(leaving, size - 1):
            walk.active[q] = walk.active[q + 1]
            walk.beta[q] = walk.beta[q + 1]
            walk.sign[q] = walk.sign[q + 1]
            walk.cols[q] = walk.cols[q + 1]
            walk.place[walk.active[q]] = q
        walk.whole[SIZE] -= 1
    if walk.whole[STEPS] % 32 == 0:
        for k in range(walk.fit.size):
            residual[k] = (y[k] - walk.fit[k]) * rows[k]
        products(bits, residual, walk.c)
    else:
        for j in range(bits.shape[1]):
            walk.c[j] -= step * walk.a[j]


@compiled
def homotopy(bits, rows, y, weight, ridge, lams, walk):
    """Continue a walk through the falling penalties `lams`, which include those that it has reached.

    A constant is fitted in addition to the terms.

    Parameters
    ----------
    bits : uint64 (words, terms), packed columns
    rows : float64 (64 * words,), 1 for masks to be used, 0 for others
    y : float64 (64 * words,), values
    weight : float64 (terms,), penalty weights; a term with weight 0 or below is left out
    ridge : added to the diagonal
    lams : float64 (penalties,)
    walk : Walk, changed in place; it stops when there is no room for another chosen term
    """
    most = walk.active.size
    whole, real = walk.whole, walk.real
    right, row, residual = np.zeros(most), np.zeros(most), np.empty(rows.size)
    while whole[STEPS] == 0 and whole[DONE] < lams.size and lams[whole[DONE]] >= real[LAM]:
        walk.fits[whole[DONE]] = walk.fit
        whole[DONE] += 1
    while whole[DONE] < lams.size and (whole[WITHIN] or whole[JOINING] != -2) and whole[STEPS] < 20 * most:
        if not whole[WITHIN]:
            whole[STEPS] += 1
            if whole[JOINING] >= 0 and not _joined(bits, walk, ridge, row):
                whole[JOINING] = -2
                break
            _find_piece(bits, rows, weight, walk, right, residual)
            whole[WITHIN] = 1
        while whole[DONE] < lams.size and lams[whole[DONE]] >= real[LAM] - real[LENGTH]:
            _record(lams[whole[DONE]], walk)
        if whole[DONE] < lams.size:  # else a later call may ask for more penalties of this piece
            _end_piece(bits, rows, y, walk, residual)
            whole[WITHIN] = 0
