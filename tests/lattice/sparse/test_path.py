"""The path and certificate against scikit-learn and an exact solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from bequeath.lattice.sparse import selection
from bequeath.lattice.sparse.certificate import duality_gap
from bequeath.lattice.sparse.terms import all_terms, distinct, pack


def problem(n: int = 8, order: int = 3, count: int = 100, seed: int = 0):
    generator = np.random.default_rng(seed)
    masks = generator.random((count, n)) < 0.5
    packed = pack(masks)
    used = np.zeros(64 * packed.shape[1])
    used[:count] = 1
    terms = all_terms(n, order)
    bits = terms.columns(packed)
    kept = distinct(bits, pack(used.astype(bool)[:, None])[0])
    bits, terms = np.ascontiguousarray(bits[:, kept]), terms[kept]
    x = np.unpackbits(np.ascontiguousarray(bits.T).view(np.uint8), axis=1, bitorder="little")[:, :count].T
    y = np.zeros(len(used))
    y[:count] = generator.normal(size=count)
    return x.astype(float), y, used, bits, 1.25 ** (terms.orders - 1.0)


def optimum(x: np.ndarray, y: np.ndarray, weights: np.ndarray, penalty: float, ridge: float):
    """Coefficients and objective by scikit-learn, with the ridge as one more row for each term."""
    from sklearn.linear_model import Lasso

    count, terms = x.shape
    rows = np.concatenate((x - x.mean(0), np.sqrt(ridge) * np.eye(terms)))
    target = np.concatenate((y - y.mean(), np.zeros(terms)))
    model = Lasso(alpha=penalty * count / len(rows), fit_intercept=False, tol=1e-12, max_iter=500_000)
    b = model.fit(rows / weights, target).coef_ / weights
    left = target - rows @ b
    return b, 0.5 * left @ left + penalty * count * (weights * np.abs(b)).sum()


@pytest.mark.parametrize("sharing", [False, True])
def test_the_path_is_the_elastic_nets_and_the_lassos(sharing: bool) -> None:
    x, y, used, bits, weights = problem()
    penalties = np.geomspace(0.3, 0.02, 8)
    path = selection.follow(bits, weights, used, y, penalties, sharing=sharing)
    assert len(path) == 8
    for i in (3, 7):
        best, _ = optimum(x, y[:100], weights, penalties[i], selection.ridge_of(100, sharing))
        members, b = path.coefficients(i, 0.0)
        assert (weights[members] * np.abs(b)).sum() == pytest.approx((weights * np.abs(best)).sum(), rel=1e-4)
        fitted = (x - x.mean(0)) @ best + y[:100].mean()
        np.testing.assert_allclose(path.fits[i, :100], fitted, atol=1e-4)


@pytest.mark.parametrize("stops", [(3, 8), (1, 2, 3, 4, 5, 6, 7, 8), (5, 5, 8), (8, 2)])
def test_a_path_goes_on_where_it_was(stops: tuple[int, ...]) -> None:
    _, y, used, bits, weights = problem()
    penalties = np.geomspace(0.3, 0.02, 8)
    whole = selection.follow(bits, weights, used, y, penalties)
    course = selection.Course(bits, weights, used, y, penalties)
    for stop in stops:
        part = course.to(stop)
        assert len(part) == stop
        for name in ("members", "shrunk", "full", "fits", "slopes"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:stop])


def test_the_refit_is_least_squares_on_the_chosen_terms() -> None:
    x, y, used, bits, weights = problem(order=2)
    path = selection.follow(bits, weights, used, y, np.array([0.1]))
    members, _ = path.coefficients(0, 1.0)
    design = np.column_stack((np.ones(100), x[:, members]))
    fitted = design @ np.linalg.lstsq(design, y[:100], rcond=None)[0]
    np.testing.assert_allclose(path.fitted(1.0)[0, :100], fitted, atol=1e-5)


def test_the_path_leaves_masks_out_and_predicts_them() -> None:
    x, y, used, bits, weights = problem(order=2)
    rows = used.copy()
    rows[:20] = 0
    changed = y.copy()
    changed[:20] = 1e3
    first, second = (selection.follow(bits, weights, rows, v, np.array([0.1])) for v in (y, changed))
    np.testing.assert_array_equal(first.fits, second.fits)
    members, b = first.coefficients(0, 0.0)
    fitted = x[:, members] @ b
    constant = (y[20:100] - fitted[20:]).mean()
    np.testing.assert_allclose(first.fits[0, :100], fitted + constant, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_certificate_bounds_the_optimum(seed: int) -> None:
    x, y, used, bits, weights = problem(7, 3, 80, seed)
    ridge = selection.ridge_of(80, True)
    for penalty in (0.2, 0.05, 0.01):
        path = selection.follow(bits, weights, used, y, np.array([penalty]), sharing=True)
        members, b = path.coefficients(0, 0.0)
        v = y[:80] - y[:80].mean()
        r = y[:80] - path.fits[0, :80]
        r = r - r.mean()
        held = np.zeros(x.shape[1])
        held[members] = ridge * b
        largest = (np.abs(x.T @ r - held) / weights).max()
        norm = (weights[members] * np.abs(b)).sum()
        gap = duality_gap(v, r, penalty * 80, norm, largest, ridge * float(b @ b))
        _, best = optimum(x, y[:80], weights, penalty, ridge)
        assert gap.lower_bound <= best * (1 + 1e-9)
        assert gap.objective == pytest.approx(best, rel=1e-5)
        assert gap.objective - gap.lower_bound <= 1e-3 * gap.objective


def test_a_bad_fit_is_not_certified() -> None:
    x, y, _, _, weights = problem(7, 2, 80)
    v = y[:80] - y[:80].mean()
    largest = (np.abs(x.T @ v) / weights).max()
    gap = duality_gap(v, v, 0.3 * largest, 0.0, largest)
    assert gap.objective - gap.lower_bound > 0.1 * gap.objective


def test_with_a_vanishing_penalty_the_path_reaches_the_least_l1_norm() -> None:
    x, y, used, bits, weights = problem(6, 3, 30)
    v = x[:, [0, 9, 20]] @ np.array([1.0, -2.0, 0.5])
    y[:] = 0
    y[:30] = v
    path = selection.follow(bits, weights, used, y, np.array([1e-6]))
    members, b = path.coefficients(0, 0.0)
    terms = x.shape[1]
    equal = np.column_stack((x - x.mean(0), -(x - x.mean(0))))
    cost = np.concatenate((weights, weights))
    best = linprog(cost, A_eq=equal, b_eq=v - v.mean(), bounds=[(0, None)] * (2 * terms))
    assert (weights[members] * np.abs(b)).sum() == pytest.approx(best.fun, rel=1e-3)
