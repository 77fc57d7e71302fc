"""The Douglas-Rachford iterations of `exact.iteration`, compiled; many steps of one problem stay in the cache."""

from __future__ import annotations

import numpy as np

from bequeath.lattice.compiled import compiled, summing
from bequeath.lattice.exact.kernels import power

# Number of interactions that are processed together.
_COLUMNS = 512


@summing
def _dot(a, b):
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@compiled
def _soft(x, threshold):
    return x - min(max(x, -threshold), threshold)


@compiled
def _add(x, y, factor):
    for j in range(x.size):
        x[j] += factor * y[j]


@compiled
def _prox_one(t, step, shrink):
    """The proximal map of one model, in place for all entries."""
    for i in range(t.shape[0]):
        row = t[i]
        for j in range(row.size):
            row[j] = _soft(row[j], step) * shrink


@compiled
def _exchange(a, b):
    """Sort two rows, entry by entry, in place."""
    for j in range(a.size):
        x, y = a[j], b[j]
        a[j] = x if x < y else y
        b[j] = y if x < y else x


@compiled
def _add_pulled(out, x, y, pull):
    for j in range(out.size):
        out[j] = x[j] + (y[j] - pull)


@compiled
def _least_mean(least, upper, lower, share):
    for j in range(least.size):
        mean = (upper[j] - lower[j]) * share
        now = least[j]
        least[j] = mean if mean < now else now


@compiled
def _greatest(most, x):
    for j in range(most.size):
        now, then = most[j], x[j]
        most[j] = then if then > now else now


@compiled
def _take_rank(out, x, from_, value):
    for j in range(out.size):
        now, then = out[j], value[j]  # both are loaded, so that the compiler can avoid a branch
        out[j] = then if x[j] >= from_[j] else now


@compiled
def _prox_joint(t, step, shrink, coupling):
    """`bequeath.lattice.exact.penalty.prox` of t, shape (models, entries), in place, by blocks of columns."""
    models = t.shape[0]
    width = min(t.shape[1], _COLUMNS)
    ordered, sums = np.empty((models, width), t.dtype), np.empty((models + 1, width), t.dtype)
    fused, least, out = np.empty((models, width), t.dtype), np.empty(width, t.dtype), np.empty(width, t.dtype)
    for start in range(0, t.shape[1], width):
        for m in range(models):
            ordered[m][:] = t[m][start : start + width]
        for last in range(models - 1, 0, -1):  # a sorting network
            for m in range(last):
                _exchange(ordered[m], ordered[m + 1])
        sums[0, :] = 0
        for m in range(models):
            pull = coupling * step * t.dtype.type(2 * m + 1 - models)
            _add_pulled(sums[m + 1], sums[m], ordered[m], pull)
        for m in range(models):  # isotonic regression
            fused[m, :] = -np.inf
            for first in range(m + 1):
                least[:] = np.inf
                for last in range(m, models):
                    share = t.dtype.type(1) / t.dtype.type(last - first + 1)
                    _least_mean(least, sums[last + 1], sums[first], share)
                _greatest(fused[m], least)
        _prox_one(fused, step, shrink)
        for m in range(models):  # equal entries have equal results, so the rank of an entry gives its result
            out[:] = fused[0]
            for rank in range(1, models):
                _take_rank(out, t[m][start : start + width], ordered[rank], fused[rank])
            t[m][start : start + width] = out


@compiled
def _prox(t, step, ridge, coupling):
    shrink = t.dtype.type(1) / (t.dtype.type(1) + ridge * step)
    if t.shape[0] > 1 and coupling > 0:
        _prox_joint(t.reshape(t.shape[0], -1), step, shrink, coupling)
    else:
        for m in range(t.shape[0]):
            _prox_one(t[m], step, shrink)


@compiled
def exact(z, k0, tilt, step, ridge, coupling, relaxation, steps, first, last, w_and, w_or, empty, u, v, vt):
    """Iterations without noise: move z, shape (problems, models, 2, 2**n), by `steps` steps; u, v, vt are 2x2.

    `tilt` has the shape of z, or no entries.
    """
    models, size = z.shape[1], z.shape[3]
    ands, ors, spare = np.empty(size, z.dtype), np.empty(size, z.dtype), np.empty(size, z.dtype)
    t = np.empty(z.shape[1:], z.dtype)
    for p in range(first, last):
        for _ in range(steps):
            for m in range(models):
                point, reflected = z[p, m], t[m]
                power(point[0], ands, spare, u[0, 0], u[0, 1], u[1, 0], u[1, 1])
                power(point[1], ors, spare, vt[0, 0], vt[0, 1], vt[1, 0], vt[1, 1])
                target = k0[p, m]
                for j in range(size):
                    ands[j] = w_or[j] * ors[j] - w_and[j] * ands[j] - target[j]
                seen = _dot(ands, empty)
                for j in range(size):
                    off = ands[j] - seen * empty[j]
                    ands[j], ors[j] = -w_and[j] * off, w_or[j] * off
                power(ands, reflected[0], spare, u[0, 0], u[0, 1], u[1, 0], u[1, 1])
                power(ors, reflected[1], spare, v[0, 0], v[0, 1], v[1, 0], v[1, 1])
                for i in range(2):
                    here, there = point[i], reflected[i]
                    for j in range(size):
                        off = there[j]
                        # The projection is z - off; its reflection z - 2 off.
                        there[j] = here[j] - off - off
                        here[j] -= relaxation * (here[j] - off)
            if tilt.size > 0:
                for m in range(models):
                    for i in range(2):
                        _add(t[m, i], tilt[p, m, i], step[p])
            _prox(t, step[p], ridge[p], coupling)
            for m in range(models):
                for i in range(2):
                    _add(z[p, m, i], t[m, i], relaxation)


@compiled
def _leave_graph(values, table, mu, alpha, spare, sigma, weight, metric, y, r):
    """(interactions, table) minus their projection onto {interactions = map(table)}, in place."""
    power(values, alpha, spare, y[0, 0], y[1, 0], y[0, 1], y[1, 1])
    power(table, mu, spare, r[0, 0], r[1, 0], r[0, 1], r[1, 1])
    for j in range(mu.size):
        on = (sigma[j] * alpha[j] * metric + mu[j]) * weight[j]
        alpha[j] -= sigma[j] * on
        mu[j] -= on
    power(alpha, values, spare, y[0, 0], y[0, 1], y[1, 0], y[1, 1])
    power(mu, table, spare, r[0, 0], r[0, 1], r[1, 0], r[1, 1])


@compiled
def noisy(z, v, bound, step, ridge, coupling, relaxation, steps, first, last, metric, sigmas, weights, y, r):
    """Iterations with noise: z, shape (problems, models, 4, 2**n), has AND, OR and the table of each."""
    models, size = z.shape[1], z.shape[3]
    mu, alpha, spare = np.empty(size, z.dtype), np.empty(size, z.dtype), np.empty(size, z.dtype)
    t, tables = np.empty((models, 2, size), z.dtype), np.empty((models, 2, size), z.dtype)
    two = z.dtype.type(2)
    for p in range(first, last):
        for _ in range(steps):
            for m in range(models):
                for i in range(2):
                    values, table = t[m, i], tables[m, i]
                    values[:] = z[p, m, i]
                    table[:] = z[p, m, 2 + i]
                    _leave_graph(values, table, mu, alpha, spare, sigmas[i], weights[i], metric, y, r[i])
                    here, there = z[p, m, i], z[p, m, 2 + i]
                    for j in range(size):
                        off, off_table = values[j], table[j]
                        values[j] = here[j] - two * off
                        table[j] = there[j] - two * off_table
                        here[j] -= relaxation * (here[j] - off)
                        there[j] -= relaxation * (there[j] - off_table)
            for m in range(models):
                free = t[m, 1, 0]
                t[m, 1, 0] = 0
                t[m, 0, 0] = 0
                u, w, target, b = tables[m, 0], tables[m, 1], v[p, m], bound[p, m]
                for j in range(size):
                    excess = u[j] + w[j] - target[j]
                    excess = _soft(excess, b) / two
                    u[j] -= excess
                    w[j] -= excess
                u[0] = w[0] = 0
                # OR of the empty set is no interaction, so it is not penalised and stays where it is.
                z[p, m, 1, 0] += relaxation * free
            _prox(t, step[p], ridge[p], coupling)
            for m in range(models):
                for i in range(2):
                    _add(z[p, m, i], t[m, i], relaxation)
                    _add(z[p, m, 2 + i], tables[m, i], relaxation)
