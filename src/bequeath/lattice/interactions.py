"""The labelled result of a decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import exchange, transforms
from bequeath.lattice.subsets import orders, player_names, players_of, subset_name

if TYPE_CHECKING:
    import shapiq
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
        return Certificate(*(getattr(self, name)[index] for name in _CERTIFICATE))


_CERTIFICATE = tuple(field.name for field in fields(Certificate))


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
        player_names(self.players, n)

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.players)

    @property
    def orders(self) -> Tensor:
        """|T| of every subset, int64, shape (2**n,)."""
        return orders(self.n_players, self.and_.device)

    @property
    def values(self) -> Tensor:
        """Both types together: shape (..., 2, 2**n), AND first."""
        return torch.stack((self.and_, self.or_), dim=-2)

    def __getitem__(self, index: Any) -> Interactions:
        """The interactions of some of the tables (an index into the leading axes)."""
        certificate = None if self.certificate is None else self.certificate[index]
        return Interactions(self.and_[index], self.or_[index], self.offset[index], self.players, certificate)

    def reconstruct(self, masks: Tensor | NDArray[Any] | None = None) -> Tensor:
        """The values that the interactions add up to, offset included.

        Parameters
        ----------
        masks : Tensor or array, optional
            Which masks: indices of subsets, int64 of shape (m,), or present players, bool of shape (m, n) as
            `subsets.masks` gives. All 2**n by default, in the order of their indices.

        Returns
        -------
        Tensor
            Shape (..., m), or (..., 2**n).

        Raises
        ------
        BequeathError
            If `masks` are of another dtype or shape, or an index is no subset.
        """
        wanted = slice(None) if masks is None else _subsets(masks, self.n_players).to(self.and_.device)
        total = transforms.zeta(self.and_) + transforms.or_zeta(self.or_)
        return (total + self.offset[..., None])[..., wanted]

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
        total = strength.new_zeros(*strength.shape[:-1], self.n_players + 1)
        return total.index_add_(-1, self.orders, strength)

    def top(self, k: int = 10) -> list[Term]:
        """The k strongest interactions of one table, strongest first; of equal ones, AND and lower subsets first."""
        self._check_one_table("top")
        values = self.values.flatten()
        strongest = values.abs().argsort(descending=True, stable=True)[:k]
        size = self.and_.shape[-1]
        return [
            Term(TYPES[i // size], i % size, subset_name(i % size, self.players), values[i].item())
            for i in strongest.tolist()
            if values[i] != 0
        ]

    def to_xarray(self, dims: Sequence[str] | None = None) -> xarray.DataArray:
        """A labelled array with axes (*dims, type, subset), from which `from_xarray` comes back.

        Its coordinates are `type`, `subset` (the index), `order`, and, along `dims`, `offset` and the four fields of
        the certificate if there is one. The attribute `players` is their names.

        Parameters
        ----------
        dims : sequence of str, optional
            Names of the leading axes; ``axis_0``, ... by default.

        Raises
        ------
        BequeathError
            If `dims` are not as many different names as there are leading axes, or name a coordinate.
        """
        about = {"offset": self.offset}
        if self.certificate is not None:
            about |= {name: getattr(self.certificate, name) for name in _CERTIFICATE}
        return exchange.to_array(self.values, TYPES, self.players, about, dims)

    @classmethod
    def from_xarray(cls, array: xarray.DataArray) -> Interactions:
        """The interactions, with offset and certificate, of an array from `to_xarray`, on the CPU.

        The array may have been indexed along its leading axes and its axes moved; the leading axes are in its order.

        Raises
        ------
        BequeathError
            If `array` is no such array, or has lost some of its subsets or coordinates.
        """
        values, players, about = exchange.from_array(array, TYPES, ("offset",), _CERTIFICATE)
        offset = about.pop("offset")
        certificate = Certificate(**about) if about else None
        return cls(values[..., 0, :], values[..., 1, :], offset, players, certificate)

    def to_shapiq(self) -> shapiq.InteractionValues:
        """The game of one table as shapiq's InteractionValues with the index ``"Moebius"``.

        The OR interactions are converted to AND interactions, as shapiq knows no others. The offset is the baseline
        value, held under the empty set too; zeros are left out, which shapiq reads as 0.

        Raises
        ------
        BequeathError
            If there are several tables, or shapiq cannot be imported.

        Examples
        --------
        >>> converter = shapiq.game_theory.MoebiusConverter(interactions.to_shapiq())
        >>> converter("SV", order=1)  # Shapley values
        """
        self._check_one_table("to_shapiq")
        moebius = self.and_ + _and_form(self.or_)
        moebius[0] += self.offset
        return exchange.to_shapiq(moebius)

    @classmethod
    def from_shapiq(
        cls, values: shapiq.InteractionValues, players: Sequence[str] | None = None
    ) -> Interactions:
        """AND interactions of one table from shapiq's InteractionValues with the index ``"Moebius"``.

        There are no OR interactions in the result: a Moebius transform does not say which of it came from them
        (`decompose` finds the sparsest split). What `values` does not hold is 0, as it is for shapiq.

        Parameters
        ----------
        values : shapiq.InteractionValues
            Such as ``shapiq.ExactComputer(game, n)("Moebius", order=n)``, or from `to_shapiq`.
        players : sequence of str, optional
            Names of the n players; their numbers by default.

        Raises
        ------
        BequeathError
            If `values` is something else or of another index, or `players` are not n; or if shapiq cannot be
            imported.
        """
        and_ = exchange.from_shapiq(values)
        offset = and_[0].clone()
        and_[0] = 0
        return cls(and_, torch.zeros_like(and_), offset, player_names(players, values.n_players))

    def _check_one_table(self, method: str) -> None:
        if self.and_.ndim != 1:
            raise BequeathError(
                f"{method}: one table at a time, not {tuple(self.offset.shape)}; index the interactions first"
            )


def _and_form(or_: Tensor) -> Tensor:
    """AND interactions of the game that OR interactions add up to: (..., 2**n) -> (..., 2**n).

    ``moebius(or_zeta(or_))``, but from one sum, so that what is 0 is exactly 0: a set T is met unless all of its
    players are absent, 1 - product of (1 - x_i), so T adds -(-1)**|L| to each of its subsets L but the empty one.
    """
    sign = 2.0 * (orders(players_of(or_), or_.device) % 2) - 1.0
    sign[0] = 0
    return sign * transforms.zeta_adjoint(or_)


def _subsets(masks: Tensor | NDArray[Any], n: int) -> Tensor:
    """Indices of subsets, int64 of shape (m,), from themselves or from present players, bool of shape (m, n)."""
    wanted = f"give indices of subsets, int64 of shape (m,), or present players, bool of shape (m, {n})"
    try:
        given = torch.as_tensor(masks)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BequeathError(f"masks: {error}; {wanted}") from error
    if given.dtype == torch.bool and given.ndim == 2 and given.shape[1] == n:
        return (given.to(torch.int64) << torch.arange(n, device=given.device)).sum(-1)
    if given.dtype != torch.int64 or given.ndim != 1:
        raise BequeathError(
            f"masks: {given.dtype} of shape {tuple(given.shape)} given for {n} players; {wanted}"
        )
    outside = given[(given < 0) | (given >= 2**n)]
    if len(outside):
        raise BequeathError(
            f"masks: {outside[0].item()} given; give indices of the subsets of {n} players, 0 to {2**n - 1}"
        )
    return given
