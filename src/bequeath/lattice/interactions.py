"""The labelled result of a decomposition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import transforms
from bequeath.lattice.subsets import orders, players_of, subset_name

if TYPE_CHECKING:
    import xarray

TYPES = ("and", "or")


@dataclass(frozen=True)
class Certificate:
    """How good a sparse split is, proven: no split of the table has an L1 norm below `lower_bound`.

    All fields have the leading shape (...) of the tables; `objective` and `lower_bound` are in the tables' units.
    `resolution` is the relative duality gap reached on the ridge problem that names *the* solution among equally
    sparse ones: how well the answer is settled.
    """

    objective: Tensor
    lower_bound: Tensor
    resolution: Tensor
    iterations: Tensor

    @property
    def gap(self) -> Tensor:
        """Relative duality gap (objective - lower bound) / objective; 0 for an all-zero table."""
        difference = self.objective - self.lower_bound
        return torch.where(self.objective > 0, difference / self.objective, 0.0).clamp(min=0.0)

    def __getitem__(self, index: Any) -> Certificate:
        fields = (self.objective, self.lower_bound, self.resolution, self.iterations)
        return Certificate(*(field[index] for field in fields))


class Term(NamedTuple):
    """One interaction, named."""

    type: str
    subset: int
    name: str
    value: float


@dataclass(frozen=True)
class Interactions:
    """AND and OR interactions of one or many value tables.

    Attributes
    ----------
    and_, or_ : Tensor
        Shape (..., 2**n), float64, in the units of the tables. Bit i of the index is player i. Entry 0 is 0 in both;
        a singleton's effect stands in `and_` alone.
    offset : Tensor
        Shape (...): v(0), which was subtracted before the decomposition.
    players : tuple of str
        Names of the n players.
    certificate : Certificate or None
        None where the decomposition is a closed form.
    """

    and_: Tensor
    or_: Tensor
    offset: Tensor
    players: tuple[str, ...]
    certificate: Certificate | None = None

    def __post_init__(self) -> None:
        n = players_of(self.and_)
        if self.and_.shape != self.or_.shape or self.offset.shape != self.and_.shape[:-1]:
            raise BequeathError(
                f"and_, or_, offset: shapes {tuple(self.and_.shape)}, {tuple(self.or_.shape)}, "
                f"{tuple(self.offset.shape)} do not belong together"
            )
        if len(self.players) != n:
            raise BequeathError(f"players: {len(self.players)} names for {n} players")

    @property
    def n(self) -> int:
        """Number of players."""
        return len(self.players)

    @property
    def orders(self) -> Tensor:
        """|T| of every subset, int64, shape (2**n,)."""
        return orders(self.n, self.and_.device)

    @property
    def values(self) -> Tensor:
        """Both types together: shape (..., 2, 2**n), AND first."""
        return torch.stack((self.and_, self.or_), dim=-2)

    def __getitem__(self, index: Any) -> Interactions:
        """The interactions of some of the tables (an index into the leading axes)."""
        certificate = None if self.certificate is None else self.certificate[index]
        return Interactions(self.and_[index], self.or_[index], self.offset[index], self.players, certificate)

    def reconstruct(self) -> Tensor:
        """The tables that the interactions add up to on all masks, offset included: (..., 2**n)."""
        total = transforms.zeta(self.and_) + transforms.or_zeta(self.or_)
        return total + self.offset[..., None]

    def salient(self, threshold: float = 0.05) -> Tensor:
        """Where |I| > threshold * (largest |I| of the sample): bool, shape (..., 2, 2**n)."""
        strength = self.values.abs()
        return strength > threshold * strength.amax((-1, -2), keepdim=True)

    def restricted(self, keep: Tensor) -> Interactions:
        """Only the interactions where `keep`, bool of shape (..., 2, 2**n), is true; the others become 0."""
        values = torch.where(keep, self.values, 0.0)
        return replace(self, and_=values[..., 0, :], or_=values[..., 1, :], certificate=None)

    def strength_by_order(self) -> Tensor:
        """Sum of |I| by type and order: shape (..., 2, n + 1)."""
        strength = self.values.abs()
        total = strength.new_zeros(*strength.shape[:-1], self.n + 1)
        return total.index_add_(-1, self.orders, strength)

    def top(self, k: int = 10) -> list[Term]:
        """The k strongest interactions of one table, strongest first."""
        if self.and_.ndim != 1:
            raise BequeathError("top: one table at a time; index the interactions first")
        values = self.values.flatten()
        strongest = values.abs().argsort(descending=True, stable=True)[:k]
        size = self.and_.shape[-1]
        return [
            Term(
                TYPES[i // size],
                i % size,
                subset_name(i % size, self.players),
                values[i].item(),
            )
            for i in strongest.tolist()
            if values[i] != 0
        ]

    def to_xarray(self, dims: tuple[str, ...] | None = None) -> xarray.DataArray:
        """A labelled array with axes (*dims, type, subset) and the coordinates `order` and `players`.

        Parameters
        ----------
        dims : tuple of str, optional
            Names of the leading axes; ``axis_0``, ... by default.
        """
        import xarray

        leading = self.and_.ndim - 1
        dims = dims if dims is not None else tuple(f"axis_{i}" for i in range(leading))
        return xarray.DataArray(
            self.values.cpu().numpy(),
            dims=(*dims, "type", "subset"),
            coords={"type": list(TYPES), "order": ("subset", self.orders.cpu().numpy())},
            attrs={"players": list(self.players)},
            name="interactions",
        )
