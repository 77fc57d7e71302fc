"""Listed terms: what a sparse reading found, for any number of players."""

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

# Players of a sparse reading at most.
MOST_PLAYERS = 256
# Entries of one block of term columns.
_BLOCK = 2**24


@dataclass(frozen=True)
class Listed:
    """Terms of one or many tables, over the union of what the tables' fits chose.

    Attributes
    ----------
    members : tuple of tuple of int
        Players of each of the T terms.
    kinds : tuple of str
        "and" or "or"; single players stand under "and".
    value : Tensor
        (..., T), float64, in the units of the values; 0 where a table's fit did not choose the term.
    error : Tensor
        (..., T): standard error of `value`, the choice of terms included (delete-half jackknife over masks); nan where
        not chosen, or not known.
    chosen : Tensor
        (..., T): share of the fits on random halves of the masks that choose the term with this sign; nan where not
        chosen, or not known.
    constant : Tensor
        (...): what all masks but the empty one have beyond v(0): the OR interaction of all players.
    residual : Tensor
        (...): what terms, constant and v(0) leave of v(N); "unexplained" in a ledger; nan if v(N) is not known.
    r2 : Tensor
        (...): R2 on masks that were left out of the fit, at most 1, higher is better, about 0 for noise; nan where the
        values are constant, or not known.
    spread : Tensor
        (...): root mean squared error on masks that were left out.
    order : int
        Terms of up to so many players were looked for.
    masks : int
        How many masks were read, the empty one included; 0 where that is not known.
    again : callable or None
        Gives the two readings of `Interactions.halves`, before any indexing.
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
    again: Callable[[], Any] | None = None

    __repr__ = one_line

    def __len__(self) -> int:
        return len(self.members)

    @property
    def orders(self) -> Tensor:
        """Players of each term, int64, (T,)."""
        return torch.tensor([len(one) for one in self.members], dtype=torch.int64, device=self.value.device)

    @property
    def is_or(self) -> Tensor:
        """Which terms are OR, bool, (T,)."""
        return torch.tensor([kind == "or" for kind in self.kinds], dtype=torch.bool, device=self.value.device)

    def map(self, change: Callable[[Tensor], Tensor]) -> Listed:
        """All tensors changed."""
        changed: dict[str, Any] = {
            field.name: change(getattr(self, field.name))
            for field in fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return replace(self, **changed)

    def __getitem__(self, index: Any) -> Listed:
        """Those of some of the tables."""
        again = None if self.again is None else partial(_indexed, self.again, index)
        shape = self.constant.shape
        places = torch.arange(shape.numel(), device=self.value.device).reshape(shape)[index]
        return replace(
            self.map(lambda x: x.reshape(shape.numel(), *x.shape[len(shape) :])[places]), again=again
        )

    @classmethod
    def stacked(cls, tables: Sequence[Listed]) -> Listed:
        """Readings of single tables as one of them all, over the union of their terms: by order, AND first."""
        union = sorted({key for part in tables for key in part.keyed()})
        place = {key: i for i, key in enumerate(union)}
        value = tables[0].value.new_zeros(len(tables), len(union))
        error, chosen = torch.full_like(value, torch.nan), torch.full_like(value, torch.nan)
        for row, part in enumerate(tables):
            columns = [place[key] for key in part.keyed()]
            value[row, columns], error[row, columns], chosen[row, columns] = (
                part.value,
                part.error,
                part.chosen,
            )

        def stack(name: str) -> Tensor:
            return torch.stack([getattr(part, name) for part in tables])

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
        """Order, kind (0 AND, 1 OR) and players of each term: they sort by order, AND first."""
        return [
            (len(one), TYPES.index(kind), one) for one, kind in zip(self.members, self.kinds, strict=True)
        ]

    def chosen_terms(self, table: tuple[int, ...]) -> Listed:
        """The reading of one table, over its own terms alone."""
        one = self[table]
        kept = torch.nonzero(one.value)[:, 0]
        places = kept.tolist()
        return replace(
            one,
            members=tuple(self.members[i] for i in places),
            kinds=tuple(self.kinds[i] for i in places),
            **{name: getattr(one, name)[kept] for name in ("value", "error", "chosen")},
        )

    def columns(self, masks: Tensor) -> Tensor:
        """Whether each term is there: masks bool (m, n) -> bool (m, T)."""
        out = torch.empty(len(masks), len(self), dtype=torch.bool, device=masks.device)
        for t, (one, kind) in enumerate(zip(self.members, self.kinds, strict=True)):
            shown = masks[:, list(one)]
            out[:, t] = shown.any(1) if kind == "or" else shown.all(1)
        return out

    def reconstruct(self, masks: Tensor) -> Tensor:
        """What terms and constant add up to, v(0) not included: masks bool (m, n) -> (..., m)."""
        masks = masks.to(self.value.device)
        parts = []
        for block in torch.split(masks, max(1, _BLOCK // max(len(self), 1))):
            total = self.value @ self.columns(block).to(self.value.dtype).T
            parts.append(total + self.constant[..., None] * block.any(1))
        return torch.cat(parts, -1) if parts else self.value.new_zeros(*self.constant.shape, 0)

    def dense(self, n: int) -> tuple[Tensor, Tensor]:
        """AND and OR arrays, (..., 2**n) each, without the constant."""
        both = self.value.new_zeros(2, *self.constant.shape, 2**n)
        subsets = torch.tensor(
            [subset_of(one) for one in self.members], dtype=torch.int64, device=self.value.device
        )
        for kind, mine in enumerate((~self.is_or, self.is_or)):
            both[kind][..., subsets[mine]] = self.value[..., mine]
        return both[0], both[1]

    def terms(self, table: tuple[int, ...], names: Sequence[str]) -> list[Term]:
        """The chosen terms of one table, strongest first; of equal ones the lower order, AND first."""
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
        for kind, mine in enumerate((~self.is_or, self.is_or)):
            total[..., kind, :].index_add_(-1, self.orders[mine], self.value[..., mine].abs())
        return total

    def frame(self, names: Sequence[str]) -> pandas.DataFrame:
        """A data frame with one row for each table and chosen term."""
        import pandas

        rows = []
        for place in range(self.constant.numel()):
            table = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), self.constant.shape))
            for term in self.terms(table, names):
                about = {f"axis_{axis}": i for axis, i in enumerate(table)}
                rows.append(
                    about
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
    """The bitmask of some players, of any size."""
    return sum(1 << int(player) for player in members)


def _indexed(again: Callable[[], Any], index: Any) -> Any:
    return tuple(half[index] for half in again())
