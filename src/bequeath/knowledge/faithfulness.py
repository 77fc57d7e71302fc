"""How well the interactions stand for the model (METHOD 8)."""

from __future__ import annotations

import torch
from torch import Tensor

from bequeath.lattice.interactions import Interactions

SPARSITY_AT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def reconstruction_error(interactions: Interactions, tables: Tensor) -> float:
    """Largest |v(S) - reconstruction| over all masks and tables of shape (..., 2**n), in their units."""
    return (interactions.reconstruct() - tables).abs().max().item()


def cumulated_strength(interactions: Interactions) -> tuple[tuple[int, ...], Tensor]:
    """Share of each table's strength in its k strongest interactions: the k's, and shape (..., k's)."""
    strength = interactions.values.abs().flatten(-2)
    ranked = strength.sort(-1, descending=True).values.cumsum(-1)
    ks = tuple(k for k in SPARSITY_AT if k <= ranked.shape[-1])
    total = ranked[..., -1:].clamp(min=torch.finfo(ranked.dtype).tiny)
    return ks, (ranked / total)[..., [k - 1 for k in ks]]


def salient_error(
    interactions: Interactions, tables: Tensor, threshold: float = 0.05
) -> tuple[Tensor, Tensor]:
    """Error of the salient interactions alone, over all masks.

    Returns
    -------
    tuple of Tensor
        Number of salient interactions, and mean |error| over masks / mean |v - v(0)|; each of shape (...).
    """
    keep = interactions.salient(threshold)
    approximation = interactions.restricted(keep).reconstruct()
    error = (approximation - tables).abs().mean(-1)
    size = (tables - interactions.offset[..., None]).abs().mean(-1)
    relative = torch.where(size > 0, error / size.clamp(min=torch.finfo(size.dtype).tiny), 0.0)
    return keep.sum((-1, -2)), relative
