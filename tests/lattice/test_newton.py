"""newton.py: its result maximises the dual of the ridge problem, by slow sums; a bad start does no harm."""

from __future__ import annotations

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from torch import Tensor

from bequeath.lattice import newton, transforms
from bequeath.lattice.basis import Basis, basis_of


def problem(n: int, seed: int = 0, v: Tensor | None = None) -> tuple[Tensor, Basis, Tensor, Tensor]:
    """A table with v(0) = 0, the basis, the coordinates of its splits and its ridge."""
    if v is None:
        v = torch.randn(2**n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        v[0] = 0
    basis = basis_of(n, v.device)
    k0 = basis.coordinates(torch.stack((transforms.moebius(v / 2), transforms.or_moebius(v / 2)))[None])[0]
    return v, basis, k0, 1e-2 / basis.to_dual(k0[None]).abs().max()


def check_optimal(v: Tensor, basis: Basis, k: Tensor, ridge: Tensor) -> None:
    """The gradient is zero exactly where the interactions that the dual vector names add up to the table."""
    named = (newton.soft(basis.to_dual(k[None]), 1.0) / ridge)[0].numpy()
    total = oracle.zeta(named[0]) + oracle.or_zeta(named[1])
    np.testing.assert_allclose(total, v.numpy(), rtol=0, atol=1e-7 * max(1e-300, v.abs().max().item()))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_result_is_optimal(n: int, seed: int) -> None:
    v, basis, k0, ridge = problem(n, seed)
    k = newton.settle(basis, torch.zeros_like(k0), k0, ridge)
    check_optimal(v, basis, k, ridge)
    # Any other dual vector is worse, by the dual written out.
    generator = torch.Generator().manual_seed(seed)
    others = k + 1e-2 * k.norm() * torch.randn(50, 2**n, generator=generator, dtype=torch.float64)

    def dual(k: Tensor) -> Tensor:
        over = (basis.to_dual(k).abs() - 1).clamp(min=0)
        return k @ k0 - over.square().sum((-1, -2)) / (2 * ridge)

    assert (dual(others) <= dual(k[None]) * (1 + 1e-12)).all()


@pytest.mark.parametrize("values", [[0, 1, 1, 2], [0, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]])
def test_ties(values: list[int]) -> None:
    v, basis, k0, ridge = problem(2, v=torch.tensor(values, dtype=torch.float64))
    check_optimal(v, basis, newton.settle(basis, k0 / k0.norm(), k0, ridge), ridge)


def test_no_effects() -> None:
    _, basis, k0, ridge = problem(3, v=torch.zeros(8, dtype=torch.float64))
    assert not newton.settle(basis, torch.ones_like(k0), k0, torch.ones_like(ridge)).any()


@pytest.mark.parametrize("n", [2, 6, 8])
@pytest.mark.parametrize("size", [1.0, 1e6, 1e100])
def test_a_start_too_far_ends_with_finite_numbers(n: int, size: float) -> None:
    _, basis, k0, ridge = problem(n, seed=3)
    far = size * torch.randn(2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    before = far.clone()
    assert torch.isfinite(newton.settle(basis, far, k0, ridge)).all()
    assert torch.equal(far, before), "the start stays as it was"
