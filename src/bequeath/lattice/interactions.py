"""The labelled result of a decomposition or a sparse reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import exchange, exchange_listed, transforms
from bequeath.lattice.given import flags, numbers, plain_tensor
from bequeath.lattice.listed import Listed
from bequeath.lattice.reading import SparseReading
from bequeath.lattice.records import CERTIFICATE_FIELDS, TYPES, Certificate, Term
from bequeath.lattice.subsets import (
    MAX_PLAYERS,
    indices_of,
    masks_of,
    orders,
    player_names,
    players_of,
    subset_name,
)

if TYPE_CHECKING:
    import shapiq
    import xarray
    from matplotlib.axes import Axes

__all__ = ["TYPES", "Certificate", "Interactions", "Term"]


@dataclass(frozen=True)
class Interactions(SparseReading):
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
    listed : Listed or None
        The terms of a sparse reading, for up to 256 players; None where all 2**n entries are held. `and_` and `or_` of
        a sparse reading are made from them when they are asked for, which needs few enough players.
    """

    and_: Tensor
    or_: Tensor
    offset: Tensor
    players: tuple[str, ...]
    certificate: Certificate | None = None
    listed: Listed | None = None

    def __post_init__(self) -> None:
        if self.listed is not None:
            raise BequeathError("listed: use Interactions.of_terms")
        for name in ("and_", "or_", "offset"):
            given = getattr(self, name)
            if not isinstance(given, Tensor) or given.dtype != torch.float64:
                object.__setattr__(self, name, numbers(given, name).to(torch.float64))
        n = players_of(self.and_)
        if self.and_.shape != self.or_.shape or self.offset.shape != self.and_.shape[:-1]:
            raise BequeathError(
                f"and_, or_, offset: shapes {tuple(self.and_.shape)}, {tuple(self.or_.shape)}, "
                f"{tuple(self.offset.shape)} do not belong together"
            )
        player_names(self.players, n)

    def __repr__(self) -> str:
        shape = tuple(self.offset.shape)
        tables = "1 sample" if not shape else f"{shape[0] if len(shape) == 1 else shape} samples"
        if self.listed is None:
            return f"Interactions({tables}, {self.n_players} players, exact)"
        chosen = (self.listed.value != 0).reshape(-1, len(self.listed)).any(0)
        known = self.listed.r2[self.listed.r2.isfinite()]
        r2 = f", R2 {known.mean():.2f}" if known.numel() else ""
        return f"Interactions({tables}, {self.n_players} players, {int(chosen.sum())} terms{r2})"

    def _repr_html_(self) -> str:
        from bequeath import notebook

        return notebook.interactions_html(self)

    def plot(self, *, k: int = 10, ax: Axes | None = None) -> Axes:
        """The k strongest interactions as bars: see `bequeath.plots.interactions`."""
        from bequeath import plots

        return plots.interactions(self, k=k, ax=ax)

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
        if self.listed is not None:
            return Interactions.of_terms(self.listed[index], self.offset[index], self.players, certificate)
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
        if self.listed is not None:
            return self.offset[..., None] + self.listed.reconstruct(_shown(masks, self.n_players))
        wanted = slice(None) if masks is None else indices_of(masks, self.n_players).to(self.and_.device)
        total = transforms.zeta(self.and_) + transforms.or_zeta(self.or_)
        return (total + self.offset[..., None])[..., wanted]

    def salient(self, threshold: float = 0.05) -> Tensor:
        """Where |I| > threshold * (largest |I| of the sample): bool, (..., 2, 2**n), or (..., terms) if listed."""
        if self.listed is not None:
            strength = self.listed.value.abs()
            largest = strength.amax(-1, keepdim=True) if len(self.listed) else strength
        else:
            strength = self.values.abs()
            largest = strength.amax((-1, -2), keepdim=True)
        return strength > threshold * largest

    def restricted(self, keep: Tensor) -> Interactions:
        """Only the interactions where `keep`, bool of the shape that `salient` gives, is true; the others become 0."""
        if self.listed is not None:
            kept = replace(self.listed, value=torch.where(keep, self.listed.value, 0.0), read_halves=None)
            return Interactions.of_terms(kept, self.offset, self.players)
        values = torch.where(keep, self.values, 0.0)
        return replace(self, and_=values[..., 0, :], or_=values[..., 1, :], certificate=None, listed=None)

    def strength_by_order(self) -> Tensor:
        """Sum of |I| by type and order: shape (..., 2, n + 1)."""
        if self.listed is not None:
            return self.listed.strength_by_order(self.n_players)
        strength = self.values.abs()
        total = strength.new_zeros(*strength.shape[:-1], self.n_players + 1)
        return total.index_add_(-1, self.orders, strength)

    def top(self, k: int = 10) -> list[Term]:
        """The k strongest interactions of one table, strongest first; of equal ones, AND and lower subsets first."""
        self._check_one_table("top")
        if self.listed is not None:
            return self.listed.terms((), self.players)[:k]
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
            about |= {name: getattr(self.certificate, name) for name in CERTIFICATE_FIELDS}
        if self.listed is not None:
            return exchange_listed.to_array(self.listed, about, self.players, dims)
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
        if exchange_listed.is_listed(array):
            listed, about, players = exchange_listed.from_array(array)
            offset = about.pop("offset")
            known = {name: about[name] for name in CERTIFICATE_FIELDS if name in about}
            return cls.of_terms(listed, offset, players, Certificate(**known) if known else None)
        values, players, about = exchange.from_array(array, TYPES, ("offset",), CERTIFICATE_FIELDS)
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
        if self.listed is not None:
            return exchange_listed.to_shapiq(self.listed, self.offset.item(), self.n_players)
        moebius = self.and_ + transforms.or_as_and(self.or_)
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
        if getattr(values, "n_players", 0) > MAX_PLAYERS:
            listed, offset = exchange_listed.from_shapiq(values)
            return cls.of_terms(listed, offset, player_names(players, values.n_players))
        and_ = exchange.from_shapiq(values)
        offset = and_[0].clone()
        and_[0] = 0
        return cls(and_, torch.zeros_like(and_), offset, player_names(players, values.n_players))

    def terms(self, sample: int | tuple[int, ...] = ()) -> list[Term]:
        """The terms of one table, strongest first; of equal ones the lower order or subset, AND first.

        Parameters
        ----------
        sample : int or tuple of int
            Which table; may be left out where there is only one.
        """
        one = self[sample] if sample != () else self
        one._check_one_table("terms")
        return one.top(max(len(one.listed), 1) if one.listed is not None else 2 * one.and_.shape[-1])

    @property
    def total(self) -> Tensor:
        """v(N) - v(0), shape (...); nan where a sparse reading does not know v(N)."""
        if self.listed is not None:
            return self.listed.value.sum(-1) + self.listed.constant + self.listed.residual
        return self.values.sum((-1, -2))

    def by_order(self) -> Tensor:
        """Sum of |I| by order, both types: shape (..., n + 1), in the units of the tables."""
        return self.strength_by_order().sum(-2)

    def _check_one_table(self, method: str) -> None:
        if self.offset.ndim:
            raise BequeathError(
                f"{method}: one table at a time, not {tuple(self.offset.shape)}; index the interactions first"
            )


def _shown(masks: Tensor | NDArray[Any] | None, n: int) -> Tensor:
    """Shown players of masks given as `Interactions.reconstruct` takes them: bool, (m, n)."""
    given = torch.arange(2**n) if masks is None and n <= MAX_PLAYERS else masks
    if given is None:
        raise BequeathError(f"masks: all 2**{n} cannot be had; give some")
    given = plain_tensor(given, "masks")
    if given.ndim == 2 and given.shape[1] == n:
        return flags(given, "masks")
    return masks_of(indices_of(given, n), n)
