"""Planted interactions for tests of comparisons."""

from __future__ import annotations

import numpy as np
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


def sparse_games(
    samples: int, models: int, count: int = 160, n: int = 8, share: float = 0.5
) -> tuple[Tensor, list[Tensor]]:
    """Masks (count, n), and values (samples, count) of models that share some of their planted terms."""
    rng = np.random.default_rng(0)
    masks = bq.draw_masks(n, count)
    shown = masks.numpy()

    def terms(how_many: int) -> list[tuple[list[int], float]]:
        return [
            (rng.choice(n, int(rng.integers(1, 3)), replace=False).tolist(), float(rng.laplace()))
            for _ in range(how_many)
        ]

    values: list[list[Tensor]] = [[] for _ in range(models)]
    for _ in range(samples):
        common = terms(round(10 * share))
        for model in range(models):
            total = np.zeros(count)
            for players, effect in common + terms(10 - round(10 * share)):
                total += effect * shown[:, players].all(1)
            values[model].append(torch.from_numpy(total + 0.05 * rng.normal(size=count)))
    return masks, [torch.stack(one) for one in values]
