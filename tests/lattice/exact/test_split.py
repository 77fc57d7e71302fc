"""split.py: what its lower bound and its resolution prove."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bequeath.lattice import transforms
from bequeath.lattice.exact import duality, split
from bequeath.lattice.exact.basis import basis_of
from bequeath.lattice.exact.iteration import Problems


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


def solved(v: Tensor, **options: Any) -> split.Split:
    """Splits of single models: v of shape (tables, 2**n)."""
    return split.sparsest_split(v[:, None], **options)


@pytest.mark.parametrize("ridge", [1e-2, 1.0])
def test_theridge_gap_bounds_the_distance_to_the_one_solution(ridge: float) -> None:
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
    k0 = basis.coordinates(even).expand(50, -1)[:, None]
    problems = Problems(v.expand(50, 1, -1), k0, None, torch.ones(50), torch.ones(50), 0.0, 0.0)
    bounds, y = duality.lower_bound(problems, k[:, None])
    y = y[:, 0]
    torch.testing.assert_close(bounds, (y * even).sum((-1, -2)) / y.abs().amax((-1, -2)).clamp(min=1))
    assert bounds.max() <= random_splits(v, 50).abs().sum((-1, -2)).min() + 1e-9


def test_ridge_is_the_least_squares_optimum() -> None:
    """All mixtures of AND{0,1} + OR{0,1} and {0} + {1} are optimal; the ridge selects the one of least squares.

    A singleton counts once in the L1 norm and as two halves in the squares. With both pair effects t and both
    singletons 1 - t the squares are 2 t**2 + 4 ((1 - t) / 2)**2 = 2 t**2 + (1 - t)**2, least at t = 1/3.
    """
    v = torch.tensor([[0.0, 1.0, 1.0, 2.0]], dtype=torch.float64)
    answer = solved(v, tol=1e-3, ridge_tol=1e-14, max_iterations=50_000)
    expected = torch.tensor([[0, 1 / 3, 1 / 3, 1 / 3], [0, 1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(answer.x[0, 0], expected, rtol=0, atol=1e-5)
    assert answer.objective.item() == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("max_iterations", [1, 30, 200])
def test_resolution_is_honest_when_iterations_run_out(max_iterations: int) -> None:
    """ridge / 2 |x - x*|**2 <= resolution * |x|_1, with the solver's ridge in the table's units."""
    v = torch.cat([random_table(6, seed=s) for s in range(3)])
    options = {"tol": 1e-3, "ridge_tol": 1e-12}
    solution = solved(v, max_iterations=20_000, **options)
    assert (solution.resolution <= 1e-11).all()
    found = solved(v, max_iterations=max_iterations, **options)
    assert (found.resolution > 1e-9).all()
    basis = basis_of(6, v.device)
    ridge = 2e-3 / basis.to_dual(basis.coordinates(even_split(v))).abs().amax((-1, -2))
    distance = (found.x - solution.x).square().sum((-1, -2, -3))
    assert (ridge / 2 * distance <= found.resolution * found.objective * (1 + 1e-6) + 1e-12).all()
