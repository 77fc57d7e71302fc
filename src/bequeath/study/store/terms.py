"""Listed terms as arrays of fixed size, one table at a time, and back (`bequeath.study.store.layout`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bequeath.lattice.listed import Listed
from bequeath.lattice.records import TYPES
from bequeath.study.store.layout import NUMBERS, QUANTITIES


def quantities(listed: Listed) -> Tensor:
    """What is kept of each reading beside its terms: (tables, quantities)."""
    count = (listed.value != 0).sum(-1).double()
    return torch.stack([count, *(getattr(listed, name) for name in QUANTITIES[1:])], dim=-1)


def packed(listed: Listed, table: int, room: int, order: int) -> tuple[Tensor, Tensor]:
    """One table's numbers (room, numbers), and its terms, int16 (room, 1 + order): kind and players."""
    one = listed.chosen_terms((table,))
    numbers = torch.full((room, len(NUMBERS)), torch.nan, dtype=torch.float64)
    terms = torch.full((room, 1 + order), -1, dtype=torch.int16)
    for column, name in enumerate(NUMBERS):
        numbers[: len(one), column] = getattr(one, name)
    for row, (members, kind) in enumerate(zip(one.members, one.kinds, strict=True)):
        terms[row, : 1 + len(members)] = torch.tensor([TYPES.index(kind), *members], dtype=torch.int16)
    return numbers, terms


def unpacked(numbers: Sequence[Tensor], terms: Sequence[Tensor], quantities: Tensor, masks: int) -> Listed:
    """The readings of several tables, over all their terms."""
    tables = []
    for value, term, row in zip(numbers, terms, quantities, strict=True):
        count = int(row[0])
        chosen = term[:count].int().tolist()
        fields: dict[str, Any] = dict(zip(NUMBERS, value[:count].unbind(1), strict=True))
        fields |= dict(zip(QUANTITIES[1:], row[1:].unbind(), strict=True))
        members = tuple(tuple(player for player in players if player >= 0) for _, *players in chosen)
        kinds = tuple(TYPES[kind] for kind, *_ in chosen)
        tables.append(Listed(members, kinds, order=term.shape[-1] - 1, masks=masks, **fields))
    return Listed.stacked(tables)
