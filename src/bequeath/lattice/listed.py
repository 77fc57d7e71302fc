"""Listed terms: the result of a sparse reading, for any number of players."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bequeath.lattice.records import TYPES, Term
from bequeath.printable import one_line

if TYPE_CHECKING:
    import pandas

# Largest number of players of a sparse reading.
MOST_PLAYERS = 256
# Number of entries in one block of term columns.
_BLOCK = 2**24


@dataclass(frozen=True)
class Listed:
    """Terms of one or many tables. The list is the union of the terms that the fits of the tables chose.

    Attributes
    ----------
    members : tuple of tuple of int
        Players of each of the T terms.
    kinds : tuple of str
        "and" or "or"; single players are listed as "and".
    value : Tensor
        (..., T), float64, in the units of the values; 0 if the fit of a table did not choose the term.
    error : Tensor
        (..., T): standard error of `value` by the delete-half jackknife over masks, which includes the choice of terms.
        NaN if the term was not chosen, or the error is not known.
    chosen : Tensor
        (..., T): share of the fits on random halves of the masks that choose the term with this sign, 0 to 1. NaN if
        the term was not chosen, or the share is not known.
    constant : Tensor
        (...): constant that all masks except the empty one have in addition to v(0); the OR interaction of all players.
    residual : Tensor
        (...): v(N) minus v(0), constant and terms; "unexplained" in a ledger. NaN if v(N) is not known.
    r2 : Tensor
        (...): R2 on masks that were left out of the fit: at most 1, higher is better, about 0 for noise. NaN if the
        values are constant, or it is not known.
    spread : Tensor
        (...): root mean squared error on masks that were left out of the fit, in the units of the values.
    order : int
        Largest number of players in the terms that were searched.
    masks : int
        Number of masks that were read, including the empty one; 0 if it is not known.
    read_halves : callable or None
        Computes the two readings of `Interactions.halves`, for all tables of the fit.
    """

    members: tuple[tuple[int, ...], ...]
    kinds: tuple[str, ...]
    value: Tensor
    error: Tensor
    chosen: Tensor
    constant: Tensor
    residual: Tensor
    r2: Tensor
    spread: Tensor
    order: int
    masks: int = 0
    read_halves: Callable[[], Any] | None = None

    __repr__ = one_line

    def __len__(self) -> int:
        return len(self.members)

    @property
    def orders(self) -> Tensor:
        """Number of players in each term, int64, (T,)."""
        sizes = [len(players) for players in self.members]
        return torch.tensor(sizes, dtype=torch.int64, device=self.value.device)

    @property
    def is_or(self) -> Tensor:
        """Which terms are OR, bool, (T,)."""
        return torch.tensor([kind == "or" for kind in self.kinds], dtype=torch.bool, device=self.value.device)

    def map(self, change: Callable[[Tensor], Tensor]) -> Listed:
        """The same terms with a function applied to all tensors."""
        changed: dict[str, Any] = {
            field.name: change(getattr(self, field.name))
            for field in fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return replace(self, **changed)

    def __getitem__(self, index: Any) -> Listed:
        """The terms of some of the tables; `index` indexes the leading axes."""
        read_halves = None if self.read_halves is None else partial(_indexed, self.read_halves, index)
        shape = self.constant.shape
        tables = torch.arange(shape.numel(), device=self.value.device).reshape(shape)[index]
        return replace(
            self.map(lambda x: x.reshape(shape.numel(), *x.shape[len(shape) :])[tables]),
            read_halves=read_halves,
        )

    @classmethod
    def stacked(cls, tables: Sequence[Listed]) -> Listed:
        """Join readings of single tables, over the union of their terms: sorted by order, AND first."""
        union = sorted({key for table in tables for key in table.keyed()})
        column = {key: i for i, key in enumerate(union)}
        value = tables[0].value.new_zeros(len(tables), len(union))
        error, chosen = torch.full_like(value, torch.nan), torch.full_like(value, torch.nan)
        for row, table in enumerate(tables):
            columns = [column[key] for key in table.keyed()]
            value[row, columns], error[row, columns], chosen[row, columns] = (
                table.value,
                table.error,
                table.chosen,
            )

        def stack(name: str) -> Tensor:
            return torch.stack([getattr(table, name) for table in tables])

        return cls(
            tuple(members for *_, members in union),
            tuple(TYPES[kind] for _, kind, _ in union),
            value,
            error,
            chosen,
            stack("constant"),
            stack("residual"),
            stack("r2"),
            stack("spread"),
            order=tables[0].order,
            masks=tables[0].masks,
        )

    def keyed(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Order, kind (0 AND, 1 OR) and players of each term: keys that sort by order, AND first."""
        return [
            (len(players), TYPES.index(kind), players)
            for players, kind in zip(self.members, self.kinds, strict=True)
        ]

    def chosen_terms(self, table: tuple[int, ...]) -> Listed:
        """The reading of one table, with its own terms only."""
        reading = self[table]
        kept = torch.nonzero(reading.value)[:, 0]
        indices = kept.tolist()
        return replace(
            reading,
            members=tuple(self.members[i] for i in indices),
            kinds=tuple(self.kinds[i] for i in indices),
            **{name: getattr(reading, name)[kept] for name in ("value", "error", "chosen")},
        )

    def columns(self, masks: Tensor) -> Tensor:
        """Whether each term is present in each mask: bool (m, T), for masks, bool (m, n)."""
        out = torch.empty(len(masks), len(self), dtype=torch.bool, device=masks.device)
        for t, (players, kind) in enumerate(zip(self.members, self.kinds, strict=True)):
            shown = masks[:, list(players)]
            out[:, t] = shown.any(1) if kind == "or" else shown.all(1)
        return out

    def reconstruct(self, masks: Tensor) -> Tensor:
        """Sum of terms and constant, without v(0), for masks, bool (m, n): (..., m)."""
        masks = masks.to(self.value.device)
        parts = []
        for block in torch.split(masks, max(1, _BLOCK // max(len(self), 1))):
            total = self.value @ self.columns(block).to(self.value.dtype).T
            parts.append(total + self.constant[..., None] * block.any(1))
        return torch.cat(parts, -1) if parts else self.value.new_zeros(*self.constant.shape, 0)

    def dense(self, n: int) -> tuple[Tensor, Tensor]:
        """AND and OR arrays, (..., 2**n) each, without the constant."""
        arrays = self.value.new_zeros(2, *self.constant.shape, 2**n)
        subsets = torch.tensor(
            [subset_of(players) for players in self.members], dtype=torch.int64, device=self.value.device
        )
        for kind, of_kind in enumerate((~self.is_or, self.is_or)):
            arrays[kind][..., subsets[of_kind]] = self.value[..., of_kind]
        return arrays[0], arrays[1]

    def terms(self, table: tuple[int, ...], names: Sequence[str]) -> list[Term]:
        """The chosen terms of one table, strongest first; equal ones by order, AND first."""
        value, error, chosen = (x[table].tolist() for x in (self.value, self.error, self.chosen))
        order = sorted((t for t, v in enumerate(value) if v != 0), key=lambda t: -abs(value[t]))
        return [
            Term(
                self.kinds[t],
                subset_of(self.members[t]),
                "{" + ", ".join(names[i] for i in self.members[t]) + "}",
                value[t],
                error[t],
                chosen[t],
            )
            for t in order
        ]

    def strength_by_order(self, n: int) -> Tensor:
        """Sum of |value| by kind and order: (..., 2, n + 1)."""
        total = self.value.new_zeros(*self.constant.shape, len(TYPES), n + 1)
        for kind, of_kind in enumerate((~self.is_or, self.is_or)):
            total[..., kind, :].index_add_(-1, self.orders[of_kind], self.value[..., of_kind].abs())
        return total

    def frame(self, names: Sequence[str]) -> pandas.DataFrame:
        """A data frame with one row for each table and chosen term."""
        import pandas

        rows = []
        for flat in range(self.constant.numel()):
            table = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), self.constant.shape))
            for term in self.terms(table, names):
                rows.append(
                    {f"axis_{axis}": i for axis, i in enumerate(table)}
                    | {
                        "kind": term.kind,
                        "players": term.players,
                        "name": term.name,
                        "order": len(term.players),
                    }
                    | {"value": term.value, "error": term.error, "chosen": term.chosen}
                )
        labels = [f"axis_{axis}" for axis in range(self.constant.ndim)]
        return pandas.DataFrame(
            rows, columns=[*labels, "kind", "players", "name", "order", "value", "error", "chosen"]
        )


def subset_of(members: Sequence[int]) -> int:
    """The bitmask of a set of players, for any number of players."""
    return sum(1 << int(player) for player in members)


def _indexed(read_halves: Callable[[], Any], index: Any) -> Any:
    return tuple(half[index] for half in read_halves())
