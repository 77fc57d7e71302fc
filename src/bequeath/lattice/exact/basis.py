"""Orthonormal coordinates of the AND-OR splits of a table, and of their dual vectors (docs/decomposition.md).

A table v with v(0) = 0 is split as v = u + w; u gives the AND and w the OR interactions. Write x = (AND part, OR
part), 2 * 2**n numbers. All splits form the affine set x0 + M g: x0 is the even split u = w = v/2, and M g = (A g, -O
g). Let W be the generalised eigenvectors of the 2x2 pair (Q, P). Then M W has the columns (U h, sqrt(d) V h) for two
*rotations* U, V of the plane, and d is the golden ratio to the power of +-2 for each bit. So plane rotations along
the n bits and a diagonal give both the set of splits and its orthogonal complement, the space of dual vectors. These
coordinates are orthonormal, well conditioned for all n, and cost O(n 2**n); no 2**n x 2**n matrix is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from bequeath.lattice.kronecker import Matrix, kronecker_power


def transposed(matrix: Matrix) -> Matrix:
    """The transpose of a 2x2 matrix."""
    (a, b), (c, d) = matrix
    return (a, c), (b, d)


def golden_angle() -> tuple[float, float]:
    """Cosine and sine of the angle whose tangent is 1 / golden ratio."""
    golden = (1 + 5**0.5) / 2
    return golden / (1 + golden**2) ** 0.5, 1 / (1 + golden**2) ** 0.5


@dataclass(frozen=True)
class Basis:
    """Orthonormal coordinates k (2**n) of the dual vectors y = (y_and, y_or), the complement of the splits.

    Attributes
    ----------
    rotate_and, rotate_or : 2x2 tuple of float
        Rotations of each bit.
    weight_and, weight_or : Tensor
        (2**n,): the diagonals.
    empty : Tensor
        (2**n,): the unit direction that sees the entries of the empty set; it is removed.
    """

    rotate_and: Matrix
    rotate_or: Matrix
    weight_and: Tensor
    weight_or: Tensor
    empty: Tensor

    def to_dual(self, k: Tensor) -> Tensor:
        """y of shape (..., 2, 2**n) from k of shape (..., 2**n)."""
        w_and, w_or, empty = (c.to(k.dtype) for c in (self.weight_and, self.weight_or, self.empty))
        k = k - (k @ empty)[..., None] * empty
        return torch.stack(
            (kronecker_power(-w_and * k, self.rotate_and), kronecker_power(w_or * k, self.rotate_or)), dim=-2
        )

    def coordinates(self, x: Tensor) -> Tensor:
        """Coordinates k of the orthogonal projection of x, shape (..., 2, 2**n), onto the dual vectors."""
        w_and, w_or, empty = (c.to(x.dtype) for c in (self.weight_and, self.weight_or, self.empty))
        k = w_or * kronecker_power(x[..., 1, :], transposed(self.rotate_or))
        k -= w_and * kronecker_power(x[..., 0, :], transposed(self.rotate_and))
        return k - (k @ empty)[..., None] * empty


@lru_cache(maxsize=16)
def basis_of(n: int, device: torch.device) -> Basis:
    """The basis for n players; cached."""
    golden = (1 + 5**0.5) / 2
    cosine, sine = golden_angle()
    # Generalised eigenvectors w of Q w = d P w, scaled to w'P w = 1 (P = A'A, Q = O'O for one bit); d = golden**-2
    # has w = (golden, 1 / golden) / norm, d = golden**2 has w = (-1 / golden, -golden) / norm. A w and O w / sqrt(d)
    # are the columns of the rotations.
    rotate_and = ((cosine, -sine), (-sine, -cosine))
    rotate_or = ((sine, -cosine), (cosine, sine))
    d = torch.tensor([golden**-2, golden**2], dtype=torch.float64, device=device)
    eigenvalue = torch.ones_like(d[:1])
    for _ in range(n):
        eigenvalue = torch.cat([eigenvalue * d[0], eigenvalue * d[1]])
    basis = Basis(
        rotate_and,
        rotate_or,
        (eigenvalue / (1 + eigenvalue)).sqrt(),
        (1 / (1 + eigenvalue)).sqrt(),
        torch.zeros_like(eigenvalue),
    )
    # The empty set is no interaction: remove the one direction of dual vectors that sees its two entries.
    unit = eigenvalue.new_zeros(1, 2, 2**n)
    unit[0, 0, 0] = 1
    empty = basis.coordinates(unit)[0]
    return Basis(rotate_and, rotate_or, basis.weight_and, basis.weight_or, empty / torch.linalg.norm(empty))
