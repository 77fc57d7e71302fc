"""How well the interactions stand for the model (METHOD 8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.knowledge.statistics import Estimate, mean_estimate, ratio_estimate
from bequeath.lattice.interactions import Interactions

SPARSITY_AT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def reconstruction_error(interactions: Interactions, tables: Tensor) -> float:
    """Largest |v(S) - reconstruction| of exact readings over all masks and tables (..., 2**n), in their units."""
    return (interactions.reconstruct() - tables).abs().max().item()


@dataclass(frozen=True)
class Held:
    """How well sparse readings predict masks that they were not fitted on, over samples.

    Attributes
    ----------
    r2 : Estimate
        Held-out R2, at most 1, higher is better, about 0 where nothing can be predicted; over the samples whose values
        vary.
    terms : Estimate
        Number of terms.
    unexplained : Estimate
        |what is unexplained of v(N)| / |v(N) - v(0)|: ratio of sums.
    """

    r2: Estimate
    terms: Estimate
    unexplained: Estimate


def held_out(interactions: Interactions, total: Tensor) -> Held:
    """Of sparse readings (samples,); `total` is v(N) - v(0) of the samples."""
    listed = interactions.listed
    if listed is None:
        raise BequeathError("held_out: these readings are exact; sparse ones predict masks")
    varying = listed.r2[listed.r2.isfinite()]
    return Held(
        mean_estimate((varying if len(varying) else listed.r2[:1]).numpy()),
        mean_estimate((listed.value != 0).sum(-1).double().numpy()),
        ratio_estimate(listed.residual.abs().numpy(), total.abs().numpy()),
    )


def cumulated_strength(interactions: Interactions) -> tuple[tuple[int, ...], Tensor]:
    """Share of each table's strength in its k strongest interactions: the k's, and shape (..., k's)."""
    listed = interactions.listed
    strength = interactions.values.abs().flatten(-2) if listed is None else listed.value.abs()
    if listed is not None:
        strength = nn.functional.pad(strength, (0, 1))  # so that there is one, where no term was found
    ranked = strength.sort(-1, descending=True).values.cumsum(-1)
    ks = tuple(k for k in SPARSITY_AT if k <= ranked.shape[-1])
    total = ranked[..., -1:].clamp(min=torch.finfo(ranked.dtype).tiny)
    return ks, (ranked / total)[..., [k - 1 for k in ks]]


def salient_error(
    interactions: Interactions, tables: Tensor, threshold: float = 0.05, masks: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Error of the salient interactions alone, over the masks of the tables: all 2**n, or bool (masks, players).

    Returns
    -------
    tuple of Tensor
        Number of salient interactions, and mean |error| over masks / mean |v - v(0)|; each of shape (...).
    """
    keep = interactions.salient(threshold)
    approximation = interactions.restricted(keep).reconstruct(masks)
    error = (approximation - tables).abs().mean(-1)
    size = (tables - interactions.offset[..., None]).abs().mean(-1)
    relative = torch.where(size > 0, error / size.clamp(min=torch.finfo(size.dtype).tiny), 0.0)
    return keep.flatten(tables.ndim - 1).sum(-1), relative
