"""The Newton steps of `bequeath.lattice.exact.newton`, compiled; one problem at a time, which fits into the cache."""

from __future__ import annotations

import numpy as np

from bequeath.lattice.compiled import compiled
from bequeath.lattice.exact.iteration_kernels import _dot, _soft
from bequeath.lattice.exact.kernels import power

# Relative tolerance of the linear system of a step: while the active set changes, and after it was right.
_ROUGH, _FINE = 0.1, 1e-7
# Damping of this system in units of its gradient; the system is singular if few entries are active.
_DAMPING = 1e-6
# The line search stops where the slope has fallen to this share.
_SLOPE = 0.1
_LINE_TRIALS = 30
_STUCK = 1
_ROUNDS = 2


@compiled
def _to_dual(k, y, w_and, w_or, empty, u, v, ands, spare):
    """`Basis.to_dual`."""
    seen = _dot(k, empty)
    for j in range(k.size):
        ands[j] = -w_and[j] * (k[j] - seen * empty[j])
    power(ands, y[0], spare, u[0, 0], u[0, 1], u[1, 0], u[1, 1])
    for j in range(k.size):
        ands[j] = w_or[j] * (k[j] - seen * empty[j])
    power(ands, y[1], spare, v[0, 0], v[0, 1], v[1, 0], v[1, 1])


@compiled
def _coordinates(x, k, w_and, w_or, empty, u, vt, ands, spare):
    """`Basis.coordinates`."""
    power(x[0], ands, spare, u[0, 0], u[0, 1], u[1, 0], u[1, 1])
    power(x[1], k, spare, vt[0, 0], vt[0, 1], vt[1, 0], vt[1, 1])
    for j in range(k.size):
        k[j] = w_or[j] * k[j] - w_and[j] * ands[j]
    seen = _dot(k, empty)
    for j in range(k.size):
        k[j] -= seen * empty[j]


@compiled
def _gap(x, off, y, k, k0, ridge):
    """Relative duality gap of the ridge problem between the split x - off and y = to_dual(k)."""
    objective, squares, beyond = 0.0, 0.0, 0.0
    for i in range(2):
        for j in range(k.size):
            entry = x[i, j] - off[i, j]
            objective += abs(entry)
            squares += entry * entry
            excess = max(abs(y[i, j]) - 1.0, 0.0)
            beyond += excess * excess
    gap = objective + ridge / 2 * squares - _dot(k, k0) + beyond / (2 * ridge)
    return gap / objective if objective != 0 else 0.0  # nan stays nan


@compiled
def _slope(y, along, t, flat, active):
    """Slope and curvature of the dual at y + t * along, and whether the active entries are the given ones."""
    slope, curvature, same = flat, 0.0, True
    for i in range(2):
        for j in range(y.shape[1]):
            excess = _soft(y[i, j] + t * along[i, j], 1.0)
            slope += along[i, j] * excess
            on = excess != 0
            curvature += along[i, j] * along[i, j] if on else 0.0
            same = same and on == (active[i, j] != 0)
    return slope, curvature, same


@compiled
def _along(y, along, flat, start, active):
    """Line search: the step to the minimum of a convex, piecewise quadratic function, and whether it is a full step."""
    low, high, t = 0.0, np.inf, 1.0
    for _ in range(_LINE_TRIALS):
        slope, curvature, same = _slope(y, along, t, flat, active)
        if t == 1.0 and same:
            return t, True
        if abs(slope) <= _SLOPE * start:
            return t, False
        if slope > 0:
            high = t
        else:
            low = t
        there = t - slope / curvature if curvature > 0 else 2 * t
        if high == np.inf:
            t = there if t < there <= 4 * t else 2 * t
        else:
            t = there if low < there < high else (low + high) / 2
    return t, False


@compiled
def settle(xs, ks, k0s, ridges, goal, budgets, used, first, last, w_and, w_or, empty, u, v, vt):
    """Newton's method on the dual of the ridge problems first .. last - 1, started at ks, shape (problems, 2**n).

    A problem stops at its goal, at its budget of matrix products, which `used` counts, or when rounding prevents
    further progress. The split and the dual coordinates with the least gap are written to xs, shape (problems, 2,
    2**n), and ks.
    """
    size = k0s.shape[1]
    y, along, off = np.empty((2, size)), np.empty((2, size)), np.empty((2, size))
    x, active = np.empty((2, size)), np.empty((2, size))
    gradient, step, residual, search = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    image, ands, spare = np.empty(size), np.empty(size), np.empty(size)
    k = np.empty(size)
    for problem in range(first, last):
        k0, ridge = k0s[problem], ridges[problem]
        k[:] = ks[problem]
        least, full, stuck, products = np.inf, True, 0, 0
        _to_dual(k, y, w_and, w_or, empty, u, v, ands, spare)
        for i in range(2):
            for j in range(size):
                x[i, j] = _soft(y[i, j], 1.0) / ridge
        while True:
            # The distance of x from the splits, in coordinates: minus the gradient of the dual.
            _coordinates(x, gradient, w_and, w_or, empty, u, vt, ands, spare)
            for j in range(size):
                gradient[j] -= k0[j]
            _to_dual(gradient, off, w_and, w_or, empty, u, v, ands, spare)
            products += 1
            gap = _gap(x, off, y, k, k0, ridge)
            stuck = stuck + 1 if full and gap > least / 2 else 0
            if gap < least:
                least = gap
                ks[problem, :] = k
                for i in range(2):
                    for j in range(size):
                        xs[problem, i, j] = x[i, j] - off[i, j]
            # Full steps without progress have reached the limit of precision.
            if not (gap > goal) or products >= budgets[problem] or stuck > _STUCK:
                break
            for i in range(2):
                for j in range(size):
                    excess = _soft(y[i, j], 1.0)
                    active[i, j] = 1.0 if excess != 0 else 0.0
            norm = np.sqrt(_dot(gradient, gradient))
            damping = _DAMPING * min(1.0, norm)
            # Conjugate gradients for (B' D B + damping) step = -ridge * gradient, D the active entries.
            for j in range(size):
                step[j] = 0.0
                residual[j] = -ridge * gradient[j]
                search[j] = residual[j]
            square = _dot(residual, residual)
            enough = square * (_FINE if full else _ROUGH) ** 2
            for _ in range(_ROUNDS * size):
                _to_dual(search, along, w_and, w_or, empty, u, v, ands, spare)
                for i in range(2):
                    for j in range(size):
                        along[i, j] *= active[i, j]
                _coordinates(along, image, w_and, w_or, empty, u, vt, ands, spare)
                for j in range(size):
                    image[j] += damping * search[j]
                share = square / _dot(search, image)
                for j in range(size):
                    step[j] += share * search[j]
                    residual[j] -= share * image[j]
                before = square
                square = _dot(residual, residual)
                products += 1
                if not (square > enough):
                    break
                for j in range(size):
                    search[j] = residual[j] + square / before * search[j]
            _to_dual(step, along, w_and, w_or, empty, u, v, ands, spare)
            products += 1
            t, full = _along(y, along, -ridge * _dot(step, k0), abs(ridge * _dot(step, gradient)), active)
            for j in range(size):
                k[j] += t * step[j]
            for i in range(2):
                for j in range(size):
                    y[i, j] += t * along[i, j]
                    # With the same active entries, x moves with y; this avoids rounding in (|y| - 1) / ridge.
                    if full:
                        x[i, j] += active[i, j] * along[i, j] / ridge
                    else:
                        x[i, j] = _soft(y[i, j], 1.0) / ridge
        used[problem] = products
