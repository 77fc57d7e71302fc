"""Faithfulness: how well the interactions reproduce the model's values.

Source: docs/method.md, section "Comparators, faithfulness".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.knowledge.statistics import Estimate, mean_estimate, ratio_estimate
from bequeath.lattice.interactions import Interactions

# Numbers of interactions at which the cumulated strength is given.
SPARSITY_AT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def reconstruction_error(interactions: Interactions, tables: Tensor) -> float:
    """Largest |v(S) - reconstruction| of exact readings over all masks of tables (..., 2**n), in units of the value.

    Parameters
    ----------
    interactions : Interactions
        Exact readings.
    tables : Tensor
        The value tables, (..., 2**n).

    Returns
    -------
    float
        0 up to rounding if the interactions are exact.
    """
    return (interactions.reconstruct() - tables).abs().max().item()


@dataclass(frozen=True)
class HeldOut:
    """How well sparse readings predict masks that they were not fitted on, over samples.

    Attributes
    ----------
    r2 : Estimate
        Held-out R2 over the samples whose values vary: at most 1, higher is better, about 0 if nothing is predicted.
    terms : Estimate
        Number of terms per sample.
    unexplained : Estimate
        Sum of |v(N) - prediction of v(N)| over samples, divided by the sum of |v(N) - v(0)|; lower is better.
    """

    r2: Estimate
    terms: Estimate
    unexplained: Estimate


def held_out(interactions: Interactions, total: Tensor) -> HeldOut:
    """Summarise how well sparse readings predict held-out masks.

    Parameters
    ----------
    interactions : Interactions
        Sparse readings (samples,).
    total : Tensor
        v(N) - v(0) of each sample, (samples,).

    Returns
    -------
    HeldOut

    Raises
    ------
    BequeathError
        If the readings are exact.
    """
    listed = interactions.listed
    if listed is None:
        raise BequeathError(
            "held_out: exact readings given; give sparse ones (bequeath.fit, bequeath.explain)"
        )
    varying = listed.r2[listed.r2.isfinite()]
    return HeldOut(
        mean_estimate((varying if len(varying) else listed.r2[:1]).numpy()),
        mean_estimate((listed.value != 0).sum(-1).double().numpy()),
        ratio_estimate(listed.residual.abs().numpy(), total.abs().numpy()),
    )


def cumulated_strength(interactions: Interactions) -> tuple[tuple[int, ...], Tensor]:
    """Share of each table's strength that its k strongest interactions hold.

    Returns
    -------
    counts : tuple of int
        The values of k.
    shares : Tensor
        (..., number of k's), in [0, 1]; higher for fewer, stronger interactions.
    """
    listed = interactions.listed
    strength = interactions.values.abs().flatten(-2) if listed is None else listed.value.abs()
    if listed is not None:
        strength = nn.functional.pad(strength, (0, 1))  # so that there is at least one entry
    ranked = strength.sort(-1, descending=True).values.cumsum(-1)
    ks = tuple(k for k in SPARSITY_AT if k <= ranked.shape[-1])
    total = ranked[..., -1:].clamp(min=torch.finfo(ranked.dtype).tiny)
    return ks, (ranked / total)[..., [k - 1 for k in ks]]


def salient_error(
    interactions: Interactions, tables: Tensor, threshold: float = 0.05, masks: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Error of a reconstruction from the salient interactions alone.

    Parameters
    ----------
    interactions : Interactions
    tables : Tensor
        Values of the model, (..., masks).
    threshold : float
        An interaction is salient if it is larger than this share of the largest one of its table.
    masks : Tensor, optional
        The masks of the tables, bool (masks, players); by default all 2**n.

    Returns
    -------
    count : Tensor
        Number of salient interactions, (...).
    error : Tensor
        Mean |error| over masks divided by mean |v - v(0)|, (...); lower is better.
    """
    keep = interactions.salient(threshold)
    approximation = interactions.restricted(keep).reconstruct(masks)
    error = (approximation - tables).abs().mean(-1)
    size = (tables - interactions.offset[..., None]).abs().mean(-1)
    relative = torch.where(size > 0, error / size.clamp(min=torch.finfo(size.dtype).tiny), 0.0)
    return keep.flatten(tables.ndim - 1).sum(-1), relative
