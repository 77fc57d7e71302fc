"""Interactions: the result of an exact or a sparse reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import exchange, exchange_listed, transforms
from bequeath.lattice.given import numbers
from bequeath.lattice.listed import Listed
from bequeath.lattice.reading import SparseReading
from bequeath.lattice.records import CERTIFICATE_FIELDS, TYPES, Certificate, Term
from bequeath.lattice.subsets import (
    MAX_PLAYERS,
    indices_of,
    orders,
    player_names,
    players_of,
    shown_players,
    subset_name,
)

if TYPE_CHECKING:
    import shapiq
    import xarray
    from matplotlib.axes import Axes

__all__ = ["TYPES", "Certificate", "Interactions", "Term"]


@dataclass(frozen=True)
class Interactions(SparseReading):
    """AND and OR interactions of one or many value tables (docs/method.md, section "Interactions").

    `decompose` makes exact ones, `fit` and `explain` sparse ones.

    Attributes
    ----------
    and_, or_ : Tensor
        Shape (..., 2**n), float64, in the units of the tables. Bit i of the index is player i. Entry 0 is 0 in both;
        effects of single players are in `and_` only. For a sparse reading they are made on first use, if there are few
        enough players.
    offset : Tensor
        Shape (...): v(0), which was subtracted before the decomposition.
    players : tuple of str
        Names of the n players.
    certificate : Certificate or None
        Proof of how good the solution is; None for closed forms.
    listed : Listed or None
        Terms of a sparse reading, for up to 256 players; None for an exact one.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> interactions = bq.decompose(torch.tensor([0.0, 1.0, 2.0, 4.0]), "and", players=["good", "film"])
    >>> interactions.top(1)[0].name, interactions.reconstruct().tolist()
    ('{film}', [0.0, 1.0, 2.0, 4.0])
    """

    and_: Tensor
    or_: Tensor
    offset: Tensor
    players: tuple[str, ...]
    certificate: Certificate | None = None
    listed: Listed | None = None

    def __post_init__(self) -> None:
        if self.listed is not None:
            raise BequeathError("listed: terms given; use Interactions.of_terms")
        for name in ("and_", "or_", "offset"):
            given = getattr(self, name)
            if not isinstance(given, Tensor) or given.dtype != torch.float64:
                object.__setattr__(self, name, numbers(given, name).to(torch.float64))
        n = players_of(self.and_)
        if self.and_.shape != self.or_.shape or self.offset.shape != self.and_.shape[:-1]:
            raise BequeathError(
                f"and_, or_, offset: shapes {tuple(self.and_.shape)}, {tuple(self.or_.shape)}, "
                f"{tuple(self.offset.shape)}; give (..., 2**n) twice, and (...)"
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
        """Order |T| of each subset T, int64, shape (2**n,)."""
        return orders(self.n_players, self.and_.device)

    @property
    def values(self) -> Tensor:
        """Both types in one array: shape (..., 2, 2**n), AND first."""
        return torch.stack((self.and_, self.or_), dim=-2)

    def __getitem__(self, index: Any) -> Interactions:
        """The interactions of some of the tables; `index` indexes the leading axes."""
        certificate = None if self.certificate is None else self.certificate[index]
        if self.listed is not None:
            return Interactions.of_terms(self.listed[index], self.offset[index], self.players, certificate)
        return Interactions(self.and_[index], self.or_[index], self.offset[index], self.players, certificate)

    def reconstruct(self, masks: Tensor | NDArray[Any] | None = None) -> Tensor:
        """Values that the interactions add up to, including the offset.

        Parameters
        ----------
        masks : Tensor or array, optional
            Masks, bool (m, n), or indices of subsets, int64 (m,); by default all 2**n, in the order of their indices.

        Returns
        -------
        Tensor
            Shape (..., m), or (..., 2**n), in the units of the tables.

        Raises
        ------
        BequeathError
            If `masks` has another dtype or shape, or an index is out of range.
        """
        if self.listed is not None:
            return self.offset[..., None] + self.listed.reconstruct(shown_players(masks, self.n_players))
        wanted = slice(None) if masks is None else indices_of(masks, self.n_players).to(self.and_.device)
        total = transforms.zeta(self.and_) + transforms.or_zeta(self.or_)
        return (total + self.offset[..., None])[..., wanted]

    def salient(self, threshold: float = 0.05) -> Tensor:
        """Whether |I| > threshold * largest |I| of the sample: bool, (..., 2, 2**n), or (..., terms) if listed."""
        if self.listed is not None:
            strength = self.listed.value.abs()
            largest = strength.amax(-1, keepdim=True) if len(self.listed) else strength
        else:
            strength = self.values.abs()
            largest = strength.amax((-1, -2), keepdim=True)
        return strength > threshold * largest

    def restricted(self, keep: Tensor) -> Interactions:
        """A copy with only the interactions where `keep` is True, bool in the shape of `salient`; the others are 0."""
        if self.listed is not None:
            kept = replace(self.listed, value=torch.where(keep, self.listed.value, 0.0), read_halves=None)
            return Interactions.of_terms(kept, self.offset, self.players)
        values = torch.where(keep, self.values, 0.0)
        return replace(self, and_=values[..., 0, :], or_=values[..., 1, :], certificate=None, listed=None)

    def strength_by_order(self) -> Tensor:
        """Sum of |I| by type and order: shape (..., 2, n + 1), in the units of the tables."""
        if self.listed is not None:
            return self.listed.strength_by_order(self.n_players)
        strength = self.values.abs()
        total = strength.new_zeros(*strength.shape[:-1], self.n_players + 1)
        return total.index_add_(-1, self.orders, strength)

    def top(self, k: int = 10) -> list[Term]:
        """The k strongest interactions of one table, strongest first; equal ones: AND and lower subsets first."""
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
        """A labelled array with axes (*dims, type, subset); `from_xarray` is the inverse.

        Its coordinates are `type`, `subset` (the index) and `order`; along `dims`, `offset` and the four fields of the
        certificate, if there is one. The attribute `players` has the names of the players.

        Parameters
        ----------
        dims : sequence of str, optional
            Names of the leading axes; ``axis_0``, ... by default.

        Raises
        ------
        BequeathError
            If `dims` does not have one different name for each leading axis, or a name is taken.
        """
        fields = {"offset": self.offset}
        if self.certificate is not None:
            fields |= {name: getattr(self.certificate, name) for name in CERTIFICATE_FIELDS}
        if self.listed is not None:
            return exchange_listed.to_array(self.listed, fields, self.players, dims)
        return exchange.to_array(self.values, TYPES, self.players, fields, dims)

    @classmethod
    def from_xarray(cls, array: xarray.DataArray) -> Interactions:
        """Interactions from an array of `to_xarray`, on the CPU.

        The array may have been indexed along its leading axes, and its axes moved; the leading axes keep its order.

        Raises
        ------
        BequeathError
            If `array` is not such an array, or has lost some of its subsets or coordinates.
        """
        if exchange_listed.is_listed(array):
            listed, fields, players = exchange_listed.from_array(array)
            offset = fields.pop("offset")
            known = {name: fields[name] for name in CERTIFICATE_FIELDS if name in fields}
            return cls.of_terms(listed, offset, players, Certificate(**known) if known else None)
        values, players, fields = exchange.from_array(array, TYPES, ("offset",), CERTIFICATE_FIELDS)
        offset = fields.pop("offset")
        certificate = Certificate(**fields) if fields else None
        return cls(values[..., 0, :], values[..., 1, :], offset, players, certificate)

    def to_shapiq(self) -> shapiq.InteractionValues:
        """One table as shapiq's InteractionValues with the index ``"Moebius"``.

        OR interactions are converted to AND interactions, because shapiq has no others. The offset is the baseline
        value and the entry of the empty set. Zeros are left out; shapiq reads missing entries as 0.

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

        The result has no OR interactions, because a Moebius transform does not show which part came from them
        (`decompose` finds the sparsest split). Entries that `values` does not have are 0, as in shapiq.

        Parameters
        ----------
        values : shapiq.InteractionValues
            For example ``shapiq.ExactComputer(game, n)("Moebius", order=n)``, or from `to_shapiq`.
        players : sequence of str, optional
            Names of the n players; their numbers by default.

        Raises
        ------
        BequeathError
            If `values` has another type or index, there are not n names, or shapiq cannot be imported.
        """
        if getattr(values, "n_players", 0) > MAX_PLAYERS:
            listed, offset = exchange_listed.from_shapiq(values)
            return cls.of_terms(listed, offset, player_names(players, values.n_players))
        and_ = exchange.from_shapiq(values)
        offset = and_[0].clone()
        and_[0] = 0
        return cls(and_, torch.zeros_like(and_), offset, player_names(players, values.n_players))

    def terms(self, sample: int | tuple[int, ...] = ()) -> list[Term]:
        """All terms of one table, strongest first; equal ones by order or subset, AND first.

        Parameters
        ----------
        sample : int or tuple of int
            Index of the table; may be left out if there is only one.
        """
        table = self[sample] if sample != () else self
        table._check_one_table("terms")
        return table.top(max(len(table.listed), 1) if table.listed is not None else 2 * table.and_.shape[-1])

    @property
    def total(self) -> Tensor:
        """v(N) - v(0), shape (...); NaN if a sparse reading does not know v(N)."""
        if self.listed is not None:
            return self.listed.value.sum(-1) + self.listed.constant + self.listed.residual
        return self.values.sum((-1, -2))

    def by_order(self) -> Tensor:
        """Sum of |I| over both types, by order: shape (..., n + 1), in the units of the tables."""
        return self.strength_by_order().sum(-2)

    def _check_one_table(self, method: str) -> None:
        if self.offset.ndim:
            raise BequeathError(
                f"{method}: {tuple(self.offset.shape)} tables; index the interactions to give one table"
            )
