"""Refusing tables that cannot be decomposed, before the work."""

from __future__ import annotations

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.memory import check_fits
from bequeath.lattice.subsets import check_players, players_of

# Numbers in memory per entry: the tables, their copies and all their interactions together.
_NUMBERS_PER_RESULT = 6


def check_table(v: Tensor, name: str = "v", *, work: str = "interactions", models: int = 1) -> Tensor:
    """Tables as float64 of shape (..., 2**n), refused early where they, of so many models, cannot be decomposed."""
    v = torch.as_tensor(v).detach()  # a graph through thousands of iterations only fills the memory
    n = players_of(v)
    check_players(n)
    check_fits(
        models * v.numel() * 8 * _NUMBERS_PER_RESULT,
        v.device,
        f"{work} of {v.numel() >> n:,} tables of {n} players",
    )
    if v.is_complex():
        raise BequeathError(f"{name}: real values needed, {v.dtype} given")
    finite = torch.isfinite(v)
    if not finite.all():
        where = tuple(torch.nonzero(~finite)[0].tolist())
        raise BequeathError(f"{name}: {v[where].item()} at index {where}; every value must be finite")
    v = v.to(torch.float64)
    if v.numel() and not torch.isfinite(v.abs().max() * 2 ** (n + 1)):
        raise BequeathError(
            f"{name}: values up to {v.abs().max().item():.3g} overflow when 2**{n} are added up"
        )
    return v
