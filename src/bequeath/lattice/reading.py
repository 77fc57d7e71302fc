"""The part of `Interactions` that only sparse readings have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.listed import Listed
from bequeath.lattice.memory import check_fits
from bequeath.lattice.records import CERTIFICATE_FIELDS, Certificate
from bequeath.lattice.subsets import MAX_PLAYERS

if TYPE_CHECKING:
    from typing import Self

    import pandas


class SparseReading:
    """Methods of `Interactions` that need listed terms. For exact readings they raise an error."""

    offset: Tensor
    players: tuple[str, ...]
    certificate: Certificate | None
    listed: Listed | None

    @classmethod
    def of_terms(
        cls, listed: Listed, offset: Tensor, players: Sequence[str], certificate: Certificate | None = None
    ) -> Self:
        """Make interactions from listed terms and v(0), `offset` (...)."""
        made = object.__new__(cls)
        for name, value in (
            ("offset", offset),
            ("players", tuple(players)),
            ("certificate", certificate),
            ("listed", listed),
        ):
            object.__setattr__(made, name, value)
        return made

    def __getattr__(self, name: str) -> Any:
        """The arrays `and_` and `or_` of listed terms, made on first use."""
        listed = self.__dict__.get("listed")
        if name not in ("and_", "or_") or listed is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        n = len(self.players)
        if n > MAX_PLAYERS:
            raise BequeathError(
                f"{name}: arrays of 2**{n} entries for {n} players; they stop at {MAX_PLAYERS}: use terms(), top() or "
                "listed"
            )
        what = f"arrays of {self.offset.numel()} sparse readings of {n} players"
        check_fits(self.offset.numel() * 2**n * 16, self.offset.device, what)
        for field, array in zip(("and_", "or_"), listed.dense(n), strict=True):
            object.__setattr__(self, field, array)
        return self.__dict__[name]

    def to_frame(self) -> pandas.DataFrame:
        """A data frame of the terms of a sparse reading: one row for each table and term, strongest first by table.

        Its columns are ``axis_0``, ... (the table), kind, players (their numbers), name, order, value, error, chosen.
        """
        return self._sparse("to_frame").frame(self.players)

    @property
    def r2(self) -> Tensor:
        """R2 of a sparse reading on masks that were left out of its fit, shape (...).

        At most 1, higher is better, about 0 for noise; NaN if the values do not vary.
        """
        return self._sparse("r2").r2

    @property
    def residual(self) -> Tensor:
        """v(N) minus its prediction by a sparse reading, shape (...); "unexplained" in a ledger; NaN if unknown."""
        return self._sparse("residual").residual

    @property
    def constant(self) -> Tensor:
        """Constant of a sparse reading, shape (...): added to v(0) for all masks except the empty one."""
        return self._sparse("constant").constant

    @property
    def spread(self) -> Tensor:
        """Root mean squared error of a sparse reading on left-out masks, shape (...), in units of the value."""
        return self._sparse("spread").spread

    @cached_property
    def halves(self) -> tuple[Self, Self]:
        """Two sparse readings from two disjoint halves of the masks; computed on first use.

        Both halves contain the empty and the full mask. The readings have no standard errors. What they share is the
        reliability of the reading (docs/method.md, section "Ceiling").
        """
        read_halves = self._sparse("halves").read_halves
        if read_halves is None:
            raise BequeathError("halves: this reading no longer has its masks; fit again")
        first, second = read_halves()
        return first, second

    def with_shape(self, shape: Sequence[int]) -> Self:
        """A sparse reading with its leading axes reshaped."""
        old = self.offset.shape
        return self._mapped(lambda x: x.reshape((*shape, *x.shape[len(old) :])))

    def to(self, device: torch.device | str) -> Self:
        """A sparse reading on another device."""
        return self._mapped(lambda x: x.to(device))

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        certificate = self.certificate
        if certificate is not None:
            certificate = Certificate(*(change(getattr(certificate, name)) for name in CERTIFICATE_FIELDS))
        return self.of_terms(
            self._sparse("shape").map(change), change(self.offset), self.players, certificate
        )

    def _sparse(self, name: str) -> Listed:
        if self.listed is None:
            raise BequeathError(
                f"{name}: this reading is exact; give a sparse one (bequeath.fit, bequeath.explain)"
            )
        return self.listed
