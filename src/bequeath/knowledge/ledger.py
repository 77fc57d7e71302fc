"""Regions as shares of the real output: interactions add up to it, so do their regions (METHOD 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.regions import Region


@dataclass(frozen=True)
class Ledger:
    """One model's output as a sum over the regions that it belongs to.

    Attributes
    ----------
    parts : dict of Region to Tensor
        Signed effect of each region, of shape (samples,), in the raw units of the value function; with an axis of
        seeds in front where there are several, as all that follows.
    total : Tensor
        v(N) - v(0), shape (samples,): what the parts add up to (exactly, where all interactions are counted).
    v_full : Tensor
        v(N), shape (samples,).
    """

    parts: dict[Region, Tensor]
    total: Tensor
    v_full: Tensor

    @classmethod
    def stacked(cls, seeds: Sequence[Ledger]) -> Ledger:
        """Those of several seeds as one."""
        parts = {region: torch.stack([one.parts[region] for one in seeds]) for region in seeds[0].parts}
        return cls(
            parts, *(torch.stack([getattr(one, name) for one in seeds]) for name in ("total", "v_full"))
        )

    @property
    def error(self) -> float:
        """Largest |sum of parts - total| over samples."""
        return (torch.stack(list(self.parts.values())).sum(0) - self.total).abs().max().item()

    def positive_without(self, part: Region | None = None) -> Tensor:
        """Whether v(N) stays above 0 with one part's effects taken out: bool, shape (samples,).

        For log-odds, above 0 means that the true class has more than half of the probability.
        """
        without = self.v_full if part is None else self.v_full - self.parts[part]
        return without > 0


def ledger(comparison: Comparison, model: str, v_empty: Tensor, v_full: Tensor) -> Ledger:
    """The ledger of one of the models compared, by its role; `v_empty`, `v_full` are v(0), v(N) of shape (samples,).

    Raises
    ------
    BequeathError
        If the comparison has no such model.
    """
    if model not in comparison.values:
        raise BequeathError(f"ledger: no model {model!r}; there are {', '.join(comparison.values)}")
    parts = {
        region: effects.sum((-1, -2)) * comparison.scale[model]
        for region, effects in comparison.regions.items()
        if model in region
    }
    return Ledger(parts, v_full - v_empty, v_full)
