"""Orthonormal coordinates of the AND-OR splits of a table, and of their dual vectors.

A table v (v(0) = 0) is split as v = u + w; u is read as AND and w as OR interactions. Write x = (AND part, OR part),
2 * 2**n numbers. All splits form the affine set x0 + M g, where x0 is the even split u = w = v/2 and
M g = (A g, -O g). With W the generalised eigenvectors of the 2x2 pair (Q, P), M W has the columns (U h, sqrt(d) V h)
for two *rotations* U, V of the plane and d = golden ratio to the power of +-2 per bit. So both the set of splits and
its orthogonal complement, the space of dual vectors, are reached by plane rotations along the n bits and a diagonal:
orthonormal, well conditioned at every n, O(n 2**n), and nothing of size 2**n x 2**n is formed here.
(docs/decomposition.md)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from bequeath.lattice import transforms


@dataclass(frozen=True)
class Basis:
    """Orthonormal coordinates k (2**n) of the dual vectors y = (y_and, y_or) in the complement of the splits."""

    rotate_and: Tensor
    rotate_or: Tensor
    weight_and: Tensor
    weight_or: Tensor
    empty: Tensor

    def to_dual(self, k: Tensor) -> Tensor:
        """y of shape (tables, 2, 2**n) from k of shape (tables, 2**n)."""
        k = k - (k @ self.empty)[:, None] * self.empty
        return torch.stack(
            (
                transforms.kronecker_power(-self.weight_and * k, self.rotate_and),
                transforms.kronecker_power(self.weight_or * k, self.rotate_or),
            ),
            dim=1,
        )

    def coordinates(self, x: Tensor) -> Tensor:
        """The k of the orthogonal projection of x, shape (tables, 2, 2**n), on the dual vectors."""
        k = self.weight_or * transforms.kronecker_power(x[:, 1], self.rotate_or.T)
        k -= self.weight_and * transforms.kronecker_power(x[:, 0], self.rotate_and.T)
        return k - (k @ self.empty)[:, None] * self.empty


@lru_cache(maxsize=16)
def basis_of(n: int, device: torch.device) -> Basis:
    """The basis for n players, kept for the next call."""

    def tensor(values: list[list[float]] | list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device)

    golden = (1 + 5**0.5) / 2
    d = tensor([golden**-2, golden**2])
    # Columns: the generalised eigenvectors of Q w = d P w, scaled to w'P w = 1 (P = A'A, Q = O'O for one bit).
    # Second row of (Q - d P) w = 0: (d - 1) w0 + (2 - d) w1 = 0.
    vectors = torch.stack((2 - d, 1 - d))
    p = tensor([[2.0, -1.0], [-1.0, 1.0]])
    vectors = vectors / (vectors * (p @ vectors)).sum(0).sqrt()
    rotate_and = tensor([[1.0, 0.0], [-1.0, 1.0]]) @ vectors
    rotate_or = tensor([[0.0, 1.0], [1.0, -1.0]]) @ vectors / d.sqrt()
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
    seen = basis.coordinates(unit)[0]
    return Basis(rotate_and, rotate_or, basis.weight_and, basis.weight_or, seen / torch.linalg.norm(seen))
