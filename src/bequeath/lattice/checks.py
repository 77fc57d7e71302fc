"""Refuses tables that cannot be decomposed, before the work starts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.given import finite, numbers
from bequeath.lattice.memory import check_fits
from bequeath.lattice.subsets import check_players, players_of

# Numbers in memory for each entry of a table: the table, its copies and its interactions.
_NUMBERS_PER_RESULT = 6


def check_table(v: Any, name: str = "v", *, work: str = "interactions", models: int = 1) -> Tensor:
    """Value tables as float64, shape (..., 2**n), checked.

    Parameters
    ----------
    v : Tensor, array, or sequence
        The tables.
    name, work : str
        Names of the tables and of the work in errors.
    models : int
        Number of models whose tables are decomposed together; it counts for the memory.

    Returns
    -------
    Tensor

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, a value is not finite or too large, or the memory is not enough.
    """
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
            f"{name}: values up to {table.abs().max().item():.3g} overflow when 2**{n} are added up; give smaller ones"
        )
    return table
