"""basis.py and its mathematics (docs/decomposition.md), against dense matrices."""

from __future__ import annotations

from dataclasses import replace

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from torch import Tensor

from bequeath.lattice import transforms
from bequeath.lattice.exact import basis
from bequeath.lattice.exact.basis import Basis
from bequeath.lattice.subsets import orders

GOLDEN = (1 + 5**0.5) / 2
P = np.array([[2.0, -1.0], [-1.0, 1.0]])
Q = np.array([[1.0, -1.0], [-1.0, 2.0]])
each_n = pytest.mark.parametrize("n", [1, 2, 3, 4, 5])


def basis_of(n: int) -> Basis:
    return basis.basis_of(n, torch.device("cpu"))


def power(matrix: np.ndarray, n: int) -> np.ndarray:
    out = np.ones((1, 1))
    for _ in range(n):
        out = np.kron(matrix, out)
    return out


def dense_moebius(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A and O as matrices; O still with its row of the empty set, - e_N, which the library drops."""
    units = np.eye(2**n)
    ands = np.stack([oracle.moebius(unit) for unit in units], axis=1)
    ors = np.stack([oracle.or_moebius(unit) for unit in units], axis=1)
    ors[0] = -units[-1]
    return ands, ors


def dense_dual(n: int) -> np.ndarray:
    """Columns: `to_dual` of unit vectors, each (y_and, y_or) flattened."""
    return basis_of(n).to_dual(torch.eye(2**n, dtype=torch.float64)).reshape(2**n, -1).numpy().T


def random_splits(n: int, count: int) -> Tensor:
    """Interactions of arbitrary AND-OR splits of the zero table, without the empty set: (count, 2, 2**n)."""
    g = torch.randn(count, 2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    g[:, 0] = 0
    return torch.stack((transforms.moebius(g), -transforms.or_moebius(g)), dim=1)


@each_n
def test_normal_matrices_are_kronecker_powers(n: int) -> None:
    ands, ors = dense_moebius(n)
    np.testing.assert_allclose(ands.T @ ands, power(P, n), atol=1e-9)
    np.testing.assert_allclose(ors.T @ ors, power(Q, n), atol=1e-9)


def test_eigenvalues_are_powers_of_the_golden_ratio() -> None:
    roots = np.linalg.eigvals(np.linalg.solve(P, Q))
    np.testing.assert_allclose(sorted(roots), [GOLDEN**-2, GOLDEN**2], atol=1e-12)


def test_u_and_v_are_rotations() -> None:
    """Orthogonal, so norms are kept; U and V are A and O (one bit) on the eigenvectors, sqrt(d) taken out."""
    basis = basis_of(3)
    rotate_and, rotate_or = (
        torch.tensor(m, dtype=torch.float64) for m in (basis.rotate_and, basis.rotate_or)
    )
    for matrix in (rotate_and, rotate_or):
        torch.testing.assert_close(matrix.T @ matrix, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-14)
    vectors = torch.linalg.inv(torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)) @ rotate_and
    d = torch.tensor([GOLDEN**-2, GOLDEN**2], dtype=torch.float64)
    p, q = torch.from_numpy(P), torch.from_numpy(Q)
    torch.testing.assert_close(q @ vectors, p @ vectors * d, rtol=0, atol=1e-13)
    flipped_or = torch.tensor([[0.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(flipped_or @ vectors, rotate_or * d.sqrt(), rtol=0, atol=1e-13)


@each_n
def test_dual_coordinates_are_orthonormal(n: int) -> None:
    """to_dual has orthonormal columns, except for the direction of the empty set, which it removes."""
    columns, empty = dense_dual(n), basis_of(n).empty.numpy()
    np.testing.assert_allclose(columns.T @ columns, np.eye(2**n) - np.outer(empty, empty), atol=1e-12)
    assert np.linalg.norm(empty) == pytest.approx(1, abs=1e-12)


@each_n
def test_coordinates_are_the_adjoint(n: int) -> None:
    x = torch.randn(2 * 2**n, 2, 2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    expected = x.reshape(-1, 2 * 2**n).numpy() @ dense_dual(n)
    np.testing.assert_allclose(basis_of(n).coordinates(x).numpy(), expected, atol=1e-12)


@each_n
def test_splits_and_dual_vectors_are_complements(n: int) -> None:
    """Dual vectors are orthogonal to splits of zero and to the empty set; together they span the space."""
    columns = dense_dual(n)
    splits = random_splits(n, 2**n + 3)
    assert basis_of(n).coordinates(splits).abs().max() < 1e-11
    np.testing.assert_allclose(columns[[0, 2**n]], 0, atol=1e-13)
    # 2 * 2**n entries - 2 of the empty set = (2**n - 1 dual) + (2**n - 1 splits: g without g(0))
    rank = np.linalg.matrix_rank(splits.reshape(len(splits), -1).numpy())
    assert (np.linalg.matrix_rank(columns), rank) == (2**n - 1, 2**n - 1)


@each_n
def test_one_direction_sees_the_empty_set(n: int) -> None:
    """Before it is removed, every dual vector has y_and(0) = - y_or(0): one direction, not two."""
    basis = basis_of(n)
    units = torch.zeros(2, 2, 2**n, dtype=torch.float64)
    units[0, 0, 0] = units[1, 1, 0] = 1
    everything = replace(basis, empty=torch.zeros_like(basis.empty))  # nothing removed
    seen = everything.coordinates(units)
    torch.testing.assert_close(seen[0], -seen[1], rtol=0, atol=1e-13)
    torch.testing.assert_close(seen[0] / seen[0].norm(), basis.empty, rtol=0, atol=1e-12)


@each_n
def test_dual_feasibility_in_the_tables_own_terms(n: int) -> None:
    """A'y_and - O'y_or = 0, except for the value of the empty set, g(0), which is fixed."""
    k = torch.randn(4, 2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    y = basis_of(n).to_dual(k)
    residual = transforms.moebius_adjoint(y[:, 0]) - transforms.or_moebius_adjoint(y[:, 1])
    assert residual[:, 1:].abs().max() < 1e-12


@pytest.mark.parametrize("n", [3, 8, 12])
def test_well_conditioned_at_every_n(n: int) -> None:
    """Projecting twice equals projecting once, up to rounding; A'A alone has condition GOLDEN**(4n)."""
    basis = basis_of(n)
    x = torch.randn(2, 2, 2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    once = basis.to_dual(basis.coordinates(x))
    torch.testing.assert_close(basis.to_dual(basis.coordinates(once)), once, rtol=0, atol=1e-12)
    assert (basis.coordinates(random_splits(n, 2)).abs().max() / random_splits(n, 2).abs().max()) < 1e-12


@each_n
def test_singletons_stay_halved(n: int) -> None:
    """A projection of x with x_and({i}) = x_or({i}) keeps that equality, and dual vectors have it."""
    single = orders(n) == 1
    basis = basis_of(n)
    x = torch.randn(3, 2, 2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    y = basis.to_dual(basis.coordinates(x))
    torch.testing.assert_close(y[:, 0, single], y[:, 1, single], rtol=0, atol=1e-12)
