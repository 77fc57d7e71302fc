"""Interactions made up for tests of what models have in common."""

from __future__ import annotations

import torch
from torch import Tensor

import bequeath as bq

ROLES = ("before", "after", "control")


def tables(seed: int, samples: int = 4, n: int = 3, scale: float = 1.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return scale * torch.randn(samples, 2**n, generator=g, dtype=torch.float64)


def interactions(seed: int, samples: int = 4, n: int = 3, scale: float = 1.0) -> bq.Interactions:
    """Plain AND interactions of random tables."""
    return bq.decompose(tables(seed, samples, n, scale), "and")


def of_values(values: Tensor) -> bq.Interactions:
    """AND interactions of given sizes, (samples, 2**n)."""
    zeros = torch.zeros_like(values)
    n = values.shape[-1].bit_length() - 1
    return bq.Interactions(values, zeros, values.new_zeros(values.shape[:-1]), tuple(map(str, range(n))))


def models(count: int, seed: int = 0, **kwargs: int) -> dict[str, object]:
    """Arguments of `compare` for two, three, or more models: those beyond three are twins."""
    made = [interactions(seed + i, **kwargs) for i in range(count)]
    given: dict[str, object] = dict(zip(ROLES, made, strict=False))
    if count > len(ROLES):
        given["twins"] = {"after": made[3], "control": made[4:]} if count > 4 else {"after": made[3]}
    return given
