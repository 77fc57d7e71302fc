"""The whole lasso path of one table, exactly, by homotopy: compiled.

    minimise over b:  1/2 |y - X b|^2 + lam sum_j w_j |b_j| + ridge/2 |b|^2,    lam from large to small.

The solution is piecewise linear in lam (Osborne, Presnell, Turlach 2000; Efron et al. 2004). On each piece
b(lam) = refit - lam * direction, where `refit` is the least-squares fit on the chosen terms: so the fit without
shrinkage, and its error on masks that were left out, cost nothing beside the path. The vanishing ridge names one
solution where the columns depend on each other (AND{i,j} + OR{i,j} = {i} + {j} on every mask).
"""

from __future__ import annotations

import numpy as np

from bequeath.lattice.sparse.kernels import add_column, common, compiled, counts, products, summing


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


@compiled
def homotopy(bits, rows, y, weight, centred, ridge, lams, most, out_terms, out_fit, out_refit, fits, slopes):
    """Solutions at falling penalties `lams`.

    Parameters
    ----------
    bits : uint64 (words, terms)
    rows : float64 (64 * words,), 1 for masks to be used, 0 for others
    y : float64 (64 * words,)
    weight : float64 (terms,), 0 or below: the term is left out
    centred : whether a constant is fitted beside
    ridge : added to the diagonal
    lams : float64 (penalties,)
    most : stop beyond so many chosen terms
    out_terms, out_fit, out_refit : (penalties, most): chosen terms (-1 behind the last), coefficients, refitted
    fits, slopes : (penalties, 64 * words): fitted values, and what the refit adds to them

    Returns
    -------
    reached : how many penalties were reached
    steps : how many pieces the path had
    """
    words, terms = bits.shape
    length = 64 * words
    packed = np.zeros(words, np.uint64)
    number = 0.0
    for k in range(length):
        if rows[k] > 0.0:
            packed[k // 64] |= np.uint64(1) << np.uint64(k % 64)
            number += 1.0
    ones = np.empty(terms)
    counts(bits, packed, ones)
    fit = np.zeros(length)
    slope = np.zeros(length)
    rest = np.empty(length)
    c = np.empty(terms)
    a = np.empty(terms)
    place = np.full(terms, -1, np.int64)
    blocked = np.zeros(terms, np.bool_)
    active = np.empty(most, np.int64)
    beta = np.zeros(most)
    direction = np.zeros(most)
    right = np.zeros(most)
    sign = np.zeros(most)
    factor = np.zeros((most, most))
    row = np.zeros(most)
    cols = np.zeros((most, words), np.uint64)
    size = 0
    mean_y = 0.0
    if centred:
        for k in range(length):
            mean_y += y[k] * rows[k]
        mean_y /= number
        fit[:] = mean_y
    for k in range(length):
        rest[k] = (y[k] - fit[k]) * rows[k]
    products(bits, rest, c)
    lam = 0.0
    first = -1
    for j in range(terms):
        if weight[j] > 0.0 and ones[j] > 0.0 and not (centred and ones[j] == number):
            if abs(c[j]) / weight[j] > lam:
                lam = abs(c[j]) / weight[j]
                first = j
        else:
            blocked[j] = True
    done = 0
    steps = 0
    while done < lams.size and lams[done] >= lam:
        for q in range(most):
            out_terms[done, q] = -1
        fits[done] = fit
        slopes[done] = 0.0
        done += 1
    joining = first
    dropped = -1
    while done < lams.size and joining != -2 and steps < 20 * most:
        steps += 1
        if joining >= 0:
            if size == most or size + 1 >= number:
                break
            for w in range(words):
                cols[size, w] = bits[w, joining] & packed[w]
            for q in range(size):
                row[q] = common(cols[q], cols[size])
                if centred:
                    row[q] -= ones[active[q]] * ones[joining] / number
            diagonal = ones[joining] + ridge
            if centred:
                diagonal -= ones[joining] * ones[joining] / number
            if _join(factor, row, diagonal, size):
                active[size] = joining
                place[joining] = size
                sign[size] = 1.0 if c[joining] > 0 else -1.0
                beta[size] = 0.0
                size += 1
            else:
                blocked[joining] = True
        for q in range(size):
            right[q] = sign[q] * weight[active[q]]
        _solve(factor, right, size, direction)
        slope[:] = 0.0
        for q in range(size):
            add_column(bits, active[q], direction[q], slope)
        if centred:
            _centre(slope, rows, number)
        for k in range(length):
            rest[k] = slope[k] * rows[k]
        products(bits, rest, a)
        # c_j(lam - g) = c_j - g a_j for terms outside; join where it meets (lam - g) w_j.
        step = lam
        joining = -2
        leaving = -1
        for j in range(terms):
            if place[j] >= 0 or blocked[j]:
                continue
            w_j = weight[j]
            up = w_j - a[j]
            if up > 1e-12 * w_j:
                g = (lam * w_j - c[j]) / up
                if j == dropped and g < 1e-9 * lam:
                    g = np.inf
                if g < step:
                    step = max(g, 0.0)
                    joining = j
            down = w_j + a[j]
            if down > 1e-12 * w_j:
                g = (lam * w_j + c[j]) / down
                if j == dropped and g < 1e-9 * lam:
                    g = np.inf
                if g < step:
                    step = max(g, 0.0)
                    joining = j
        for q in range(size):
            if direction[q] * sign[q] < 0.0:
                g = -beta[q] / direction[q]
                if g < step:
                    step = max(g, 0.0)
                    joining = -1
                    leaving = q
        # Penalties on this piece.
        while done < lams.size and lams[done] >= lam - step:
            g = lam - lams[done]
            for q in range(size):
                out_terms[done, q] = active[q]
                out_fit[done, q] = beta[q] + g * direction[q]
                out_refit[done, q] = beta[q] + lam * direction[q]
            for q in range(size, most):
                out_terms[done, q] = -1
            for k in range(length):
                fits[done, k] = fit[k] + g * slope[k]
                slopes[done, k] = lams[done] * slope[k]
            done += 1
        for q in range(size):
            beta[q] += step * direction[q]
        for k in range(length):
            fit[k] += step * slope[k]
        lam -= step
        dropped = -1
        if leaving >= 0:
            dropped = active[leaving]
            place[dropped] = -1
            _leave(factor, leaving, size)
            for q in range(leaving, size - 1):
                active[q] = active[q + 1]
                beta[q] = beta[q + 1]
                sign[q] = sign[q + 1]
                cols[q] = cols[q + 1]
                place[active[q]] = q
            size -= 1
        if steps % 32 == 0:
            for k in range(length):
                rest[k] = (y[k] - fit[k]) * rows[k]
            products(bits, rest, c)
        else:
            for j in range(terms):
                c[j] -= step * a[j]
    return done, steps
