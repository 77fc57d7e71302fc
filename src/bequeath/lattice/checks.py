"""Refusing tables that cannot be decomposed, before the work."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.given import finite, numbers
from bequeath.lattice.memory import check_fits
from bequeath.lattice.subsets import check_players, players_of

# Numbers in memory per entry: the tables, their copies and all their interactions together.
_NUMBERS_PER_RESULT = 6


def check_table(v: Any, name: str = "v", *, work: str = "interactions", models: int = 1) -> Tensor:
    """Tables as float64 of shape (..., 2**n), refused early where they, of so many models, cannot be decomposed."""
    table = numbers(v, name)
    n = players_of(table)
    check_players(n)
    check_fits(
        models * table.numel() * 8 * _NUMBERS_PER_RESULT,
        table.device,
        f"{work} of {table.numel() >> n:,} tables of {n} players",
    )
    table = finite(table, name).to(torch.float64)
    if table.numel() and not torch.isfinite(table.abs().max() * 2 ** (n + 1)):
        raise BequeathError(
            f"{name}: values up to {table.abs().max().item():.3g} overflow when 2**{n} are added up"
        )
    return table
