"""How well the preserved share of several samples is determined, from the bounds of each (docs/decomposition.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bequeath.knowledge.crossings import Array
from bequeath.knowledge.shares import Strengths
from bequeath.knowledge.statistics import Estimate, ratio_estimate

BOUNDS = ("least", "least_found", "greatest_found", "greatest")
"""Fields of `ShareBounds` that are kept for each sample."""


@dataclass(frozen=True)
class Identifiability:
    """Bounds on the shares over all samples, each an estimate over samples (and seeds).

    Attributes
    ----------
    least, least_found, greatest_found, greatest : Estimate
        Bounds on the preserved share, as in `ShareBounds`.
    new_least, new_greatest : Estimate
        Bounds on the new share: the strength of the second model that is not preserved.
    slack : float
        How far the L1 norm of a split may lie above the least one, as a share of it.
    """

    least: Estimate
    least_found: Estimate
    greatest_found: Estimate
    greatest: Estimate
    new_least: Estimate
    new_greatest: Estimate
    slack: float


def identifiability(bounds: Mapping[str, Array], strengths: Strengths, slack: float) -> Identifiability:
    """Bounds on the preserved and the new share over all samples, from the bounds of each sample.

    Parameters
    ----------
    bounds : mapping of str to ndarray
        The samples' bounds for each name in `BOUNDS`, (samples,) or (seeds, samples).
    strengths : Strengths
        Strengths of the same samples, in the units of the value tables that the bounds are of.
    slack : float
        The slack that the bounds were computed with.

    Returns
    -------
    Identifiability
        Ratios of sums over samples, in [0, 1].
    """
    before, after = strengths.total("before"), strengths.total("after")
    preserved = {name: ratio_estimate(bounds[name] * before, before) for name in BOUNDS}
    new = {
        f"new_{name}": ratio_estimate(after - bounds[other] * before, after)
        for name, other in (("least", "greatest"), ("greatest", "least"))
    }
    return Identifiability(**preserved, **new, slack=slack)
