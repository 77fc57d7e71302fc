"""Converts listed terms to arrays of fixed size, and back (`bequeath.study.store.layout`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bequeath.lattice.listed import Listed
from bequeath.lattice.records import TYPES
from bequeath.study.store.layout import NUMBERS, QUANTITIES


def quantities(listed: Listed) -> Tensor:
    """The numbers of each reading that are stored beside its terms: (tables, quantities)."""
    count = (listed.value != 0).sum(-1).double()
    return torch.stack([count, *(getattr(listed, name) for name in QUANTITIES[1:])], dim=-1)


def packed(listed: Listed, table: int, size: int, order: int) -> tuple[Tensor, Tensor]:
    """The terms of one table as arrays.

    Parameters
    ----------
    listed : Listed
        Readings of several tables.
    table : int
        Which of them.
    size : int
        Length of the arrays: the largest number of terms.
    order : int
        The largest number of players in a term.

    Returns
    -------
    numbers : Tensor
        float64, (size, numbers): value, error and choice of each term; NaN after the last term.
    terms : Tensor
        int16, (size, 1 + order): kind and players of each term; -1 where there is none.
    """
    chosen = listed.chosen_terms((table,))
    numbers = torch.full((size, len(NUMBERS)), torch.nan, dtype=torch.float64)
    terms = torch.full((size, 1 + order), -1, dtype=torch.int16)
    for column, name in enumerate(NUMBERS):
        numbers[: len(chosen), column] = getattr(chosen, name)
    for row, (members, kind) in enumerate(zip(chosen.members, chosen.kinds, strict=True)):
        terms[row, : 1 + len(members)] = torch.tensor([TYPES.index(kind), *members], dtype=torch.int16)
    return numbers, terms


def unpacked(numbers: Sequence[Tensor], terms: Sequence[Tensor], quantities: Tensor, masks: int) -> Listed:
    """The readings of several tables, over all their terms, from the arrays of `packed`."""
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
