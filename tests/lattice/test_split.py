"""split.py: what its bound and its resolution prove, and that it reaches them without Newton steps too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bequeath.lattice import split, transforms
from bequeath.lattice.basis import basis_of


def random_table(n: int, seed: int = 0) -> Tensor:
    v = torch.randn(1, 2**n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    v[:, 0] = 0
    return v


def even_split(v: Tensor) -> Tensor:
    return torch.stack((transforms.moebius(v / 2), transforms.or_moebius(v / 2)), dim=1)


def random_splits(v: Tensor, count: int) -> Tensor:
    """Interactions of v = u + w for arbitrary u: (count, 2, 2**n)."""
    u = torch.randn(count, v.shape[-1], generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    u[:, 0] = 0
    return torch.stack((transforms.moebius(u), transforms.or_moebius(v - u)), dim=1)


def check_resolution(v: Tensor, found: split.Split, solution: Tensor) -> None:
    """ridge / 2 |x - x*|**2 <= resolution * |x|_1, with the solver's ridge in the table's units."""
    basis = basis_of(v.shape[-1].bit_length() - 1, v.device)
    ridge = 1e-2 / basis.to_dual(basis.coordinates(even_split(v))).abs().amax((-1, -2))
    distance = (found.x - solution).square().sum((-1, -2))
    assert (ridge / 2 * distance <= found.resolution * found.objective * (1 + 1e-6) + 1e-12).all()


@pytest.mark.parametrize("ridge", [1e-2, 1.0])
def test_the_ridge_gap_bounds_the_distance_to_the_one_solution(ridge: float) -> None:
    """ridge / 2 |x - x*|**2 <= P(x) - P(x*) for any split x, P strongly convex: the sense of `resolution`."""
    v = torch.tensor([[0.0, 1.0, 1.0, 2.0]], dtype=torch.float64)
    optimum = torch.tensor([[0, 1 / 3, 1 / 3, 1 / 3]] * 2, dtype=torch.float64)

    def primal(x: Tensor) -> Tensor:
        return x.abs().sum((-1, -2)) + ridge / 2 * x.square().sum((-1, -2))

    others = random_splits(v, 200)
    distance = (others - optimum).square().sum((-1, -2))
    assert (ridge / 2 * distance <= primal(others) - primal(optimum) + 1e-12).all()


@pytest.mark.parametrize("n", [2, 4])
def test_any_dual_vector_bounds_any_split(n: int) -> None:
    """Weak duality, without the solver: random dual vectors against random splits of one table."""
    generator = torch.Generator().manual_seed(n)
    v = torch.randn(1, 2**n, generator=generator, dtype=torch.float64)
    v[:, 0] = 0
    even = even_split(v)
    k = 10 * torch.randn(50, 2**n, generator=generator, dtype=torch.float64)
    basis = basis_of(n, v.device)
    bounds, y = split.lower_bound(basis, k, basis.coordinates(even))
    torch.testing.assert_close(bounds, (y * even).sum((-1, -2)) / y.abs().amax((-1, -2)).clamp(min=1))
    assert bounds.max() <= random_splits(v, 50).abs().sum((-1, -2)).min() + 1e-9


def test_ridge_is_the_least_squares_optimum() -> None:
    """Of AND{0,1} + OR{0,1} = {0} + {1} every mixture is optimal; the ridge picks the one of least squares.

    A singleton counts once in the L1 norm and as two halves in the squares. With both pair effects t and both
    singletons 1 - t the squares are 2 t**2 + 4 ((1 - t) / 2)**2 = 2 t**2 + (1 - t)**2, least at t = 1/3.
    """
    v = torch.tensor([[0.0, 1.0, 1.0, 2.0]], dtype=torch.float64)
    answer = split.sparsest_split(v, tol=1e-6, ridge_tol=1e-12, max_iterations=5000)
    expected = torch.tensor([[0, 1 / 3, 1 / 3, 1 / 3], [0, 1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(answer.x[0], expected, rtol=0, atol=1e-5)
    assert answer.objective.item() == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("by", ["unchanged", "far"])
def test_tables_that_newton_does_not_settle_are_iterated(
    n: int, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    v = random_table(n, seed=7)
    settings = {"tol": 1e-3, "ridge_tol": 3e-6, "max_iterations": 10_000}
    solution = split.sparsest_split(v, **settings)
    failing = {
        "unchanged": lambda basis, dual, k0, ridge: dual.clone(),
        "far": lambda basis, dual, k0, ridge: torch.full_like(dual, 1e6),
    }
    monkeypatch.setattr(split, "settle", failing[by])
    found = split.sparsest_split(v, **settings)
    assert found.resolution.item() <= 1e-9
    assert (found.objective - found.lower_bound).item() <= 1e-3 * found.objective.item()
    check_resolution(v, found, solution.x)
    torch.testing.assert_close(found.x, solution.x, rtol=0, atol=1e-2)


@pytest.mark.parametrize("max_iterations", [1, 3, 30])
def test_resolution_is_honest_when_iterations_run_out(
    max_iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Newton steps, as beyond 9 players: what is reported bounds the distance that is left."""
    v = torch.cat([random_table(6, seed=s) for s in range(3)])
    solution = split.sparsest_split(v, tol=1e-3, ridge_tol=1e-9, max_iterations=10_000)
    assert (solution.resolution <= 1e-9).all()
    monkeypatch.setattr(split, "MAX_PLAYERS", 0)
    found = split.sparsest_split(v, tol=1e-3, ridge_tol=1e-9, max_iterations=max_iterations)
    assert (found.resolution > 1e-4).all()
    check_resolution(v, found, solution.x)


def test_iterations_and_newton_steps_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two methods, one problem."""
    v = torch.cat([random_table(4, seed=s) for s in range(3)])
    steps = split.sparsest_split(v, tol=1e-3, ridge_tol=1e-12, max_iterations=10_000)
    monkeypatch.setattr(split, "MAX_PLAYERS", 0)
    iterated = split.sparsest_split(v, tol=1e-3, ridge_tol=1e-12, max_iterations=10_000)
    torch.testing.assert_close(iterated.x, steps.x, rtol=0, atol=1e-4)
