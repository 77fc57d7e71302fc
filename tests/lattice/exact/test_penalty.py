"""penalty.py: the norm, its proximal step and its dual norm against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import LinearConstraint, minimize

from bequeath.lattice.exact import penalty

MODELS = range(1, 6)
COUPLINGS = (0.0, 0.3, 1.0, 5.0)


def norm_of(x: np.ndarray, coupling: float) -> float:
    """By pair sums, for one interaction of shape (models,)."""
    return np.abs(x).sum() + coupling * sum(abs(a - b) for a, b in itertools.combinations(x, 2))


def gauge_of(y: np.ndarray, coupling: float) -> float:
    """The largest <x, y> over the extreme points x of {f <= 1}: all sets of models, with one sign."""
    models = len(y)
    return max(
        abs(y[list(part)].sum()) / (size + coupling * size * (models - size))
        for size in range(1, models + 1)
        for part in itertools.combinations(range(models), size)
    )


def entries() -> st.SearchStrategy[float]:
    """Multiples of 1/2, which tie with each other and with thresholds, and random numbers."""
    return st.one_of(st.integers(-6, 6).map(lambda i: i / 2), st.floats(-10, 10, allow_subnormal=False))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, float]:
    """Values of 1 to 5 models at 7 interactions, and a coupling."""
    models = draw(st.sampled_from(list(MODELS)))
    return draw(arrays(np.float64, (models, 7), elements=entries())), draw(st.sampled_from(COUPLINGS))


@given(x=arrays(np.float64, 9, elements=entries()), threshold=st.sampled_from([0.0, 0.5, 1.0, 3.7]))
def test_soft_threshold_by_cases(x: np.ndarray, threshold: float) -> None:
    expected = [0.0 if abs(a) <= threshold else a - threshold if a > 0 else a + threshold for a in x]
    found = penalty.soft(torch.from_numpy(x), threshold)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_soft_threshold_of_each_entry() -> None:
    x = torch.tensor([[3.0, -3.0], [0.5, -4.0]])
    found = penalty.soft(x, torch.tensor([[1.0], [2.0]]))
    assert found.tolist() == [[2.0, -2.0], [0.0, -2.0]]


@given(case=cases())
def test_norm_by_pair_sums(case: tuple[np.ndarray, float]) -> None:
    x, coupling = case
    expected = [norm_of(column, coupling) for column in x.T]
    np.testing.assert_allclose(penalty.norm(torch.from_numpy(x), coupling, dim=0), expected, rtol=1e-13)


def test_worked_examples() -> None:
    x = torch.tensor([3.0, 1.0])
    assert penalty.norm(x, 0.5, dim=0).item() == 4 + 0.5 * 2
    # Drawn together by 0.25 each, then to 0 by 1.
    assert penalty.prox(x, 1.0, 0.25, dim=0).tolist() == [1.75, 0.25]
    # Drawn together until they meet at 2, then to 0 by 1.
    assert penalty.prox(x, 1.0, 5.0, dim=0).tolist() == [1.0, 1.0]
    # All models at once: 4 / 2. One: 3 / (1 + 0.5), or 3 / (1 + 5).
    assert penalty.gauge(x, 0.5, dim=0).item() == 2.0
    assert penalty.gauge(torch.tensor([3.0, 0.0]), 0.5, dim=0).item() == 2.0
    assert penalty.gauge(torch.tensor([3.0, 0.0]), 5.0, dim=0).item() == 1.5


@given(case=cases(), step=st.sampled_from([0.25, 1.0, 3.0]))
def test_prox_meets_the_condition_of_optimality(case: tuple[np.ndarray, float], step: float) -> None:
    """(x - p) / step is a subgradient of f at p: its dual norm is at most 1, and it meets f at p. That is all there
    is to show for a convex f; the dual norm is by brute force."""
    x, coupling = case
    p = penalty.prox(torch.from_numpy(x), step, coupling, dim=0).numpy()
    slope = (x - p) / step
    for at, g in zip(p.T, slope.T, strict=True):
        assert gauge_of(g, coupling) <= 1 + 1e-11
        assert g @ at == pytest.approx(norm_of(at, coupling), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("models", MODELS)
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_prox_is_below_everything_near_and_far(models: int, coupling: float) -> None:
    generator = np.random.default_rng(models)
    for x in (generator.normal(size=models) * 3, generator.integers(-3, 4, size=models).astype(float)):
        p = penalty.prox(torch.from_numpy(x), 0.7, coupling, dim=0).numpy()

        def value(at: np.ndarray, x: np.ndarray = x) -> float:
            return 0.7 * norm_of(at, coupling) + ((at - x) ** 2).sum() / 2

        least = value(p)
        for scale in (1e-4, 1e-2, 1.0, 10.0):
            for move in generator.normal(size=(50, models)) * scale:
                # strongly convex: what is off by `move` is worse by half its square
                assert value(p + move) >= least + (move**2).sum() / 2 - 1e-12


@pytest.mark.parametrize("models", MODELS)
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_prox_against_a_generic_solver(models: int, coupling: float) -> None:
    """As a quadratic programme: bounds above |p_a| and |p_a - p_b| are variables of their own."""
    x = np.random.default_rng(10 * models).normal(size=models) * 2
    pairs = list(itertools.combinations(range(models), 2))
    size = models + len(pairs)
    forms = [np.eye(models)[a] for a in range(models)]
    forms += [np.eye(models)[a] - np.eye(models)[b] for a, b in pairs]
    weights = 0.6 * np.array([1.0] * models + [coupling] * len(pairs))
    above = np.vstack([np.hstack([sign * np.array(forms), np.eye(size)]) for sign in (1, -1)])
    answer = minimize(
        lambda z: ((z[:models] - x) ** 2).sum() / 2 + weights @ z[models:],
        np.zeros(models + size),
        jac=lambda z: np.concatenate([z[:models] - x, weights]),
        constraints=[LinearConstraint(above, lb=0)],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    found = penalty.prox(torch.from_numpy(x), 0.6, coupling, dim=0)
    np.testing.assert_allclose(found, answer.x[:models], atol=1e-6)


@given(case=cases())
def test_gauge_by_all_sets_of_models(case: tuple[np.ndarray, float]) -> None:
    y, coupling = case
    expected = [gauge_of(column, coupling) for column in y.T]
    np.testing.assert_allclose(
        penalty.gauge(torch.from_numpy(y), coupling, dim=0), expected, rtol=1e-12, atol=1e-14
    )


@given(case=cases(), seed=st.integers(0, 10**6))
def test_gauge_bounds_every_product(case: tuple[np.ndarray, float], seed: int) -> None:
    """<x, y> <= gauge(y) f(x), as computed; all lower bounds depend on it."""
    y, coupling = case
    generator = np.random.default_rng(seed)
    x = torch.from_numpy(generator.normal(size=(200, *y.shape)))
    x[:100].round_()  # ties and zeros
    products = (x * torch.from_numpy(y)).sum(1)
    bound = penalty.gauge(torch.from_numpy(y), coupling, dim=0) * penalty.norm(x, coupling, dim=1)
    assert (products <= bound + 1e-10).all()


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("coupling", [0.0, 0.3])
def test_models_along_any_axis(dim: int, coupling: float) -> None:
    first = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x = first.movedim(0, dim)
    torch.testing.assert_close(penalty.norm(x, coupling, dim), penalty.norm(first, coupling, 0))
    torch.testing.assert_close(penalty.gauge(x, coupling, dim), penalty.gauge(first, coupling, 0))
    torch.testing.assert_close(
        penalty.prox(x, 0.4, coupling, dim), penalty.prox(first, 0.4, coupling, 0).movedim(0, dim)
    )


def test_a_step_for_each_problem() -> None:
    """As the iteration calls it: (problems, models, 2, 2**n), steps of shape (problems, 1, 1, 1)."""
    x = torch.randn(3, 4, 2, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    steps = torch.tensor([0.1, 1.0, 2.5], dtype=torch.float64)
    together = penalty.prox(x, steps[:, None, None, None], 0.3, dim=1)
    for i, step in enumerate(steps.tolist()):
        torch.testing.assert_close(together[i], penalty.prox(x[i], step, 0.3, dim=0))


def test_float32_stays_and_agrees() -> None:
    x = torch.randn(4, 100, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    single = x.float()
    for function in (penalty.norm, penalty.gauge):
        assert function(single, 0.3, 0).dtype == torch.float32
        torch.testing.assert_close(function(single, 0.3, 0).double(), function(x, 0.3, 0), rtol=1e-5, atol=0)
    found = penalty.prox(single, 0.5, 0.3, 0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), penalty.prox(x, 0.5, 0.3, 0), rtol=0, atol=2e-6)
