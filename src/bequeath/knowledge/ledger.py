"""Regions as shares of the real output: interactions add up to it, so do their regions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.knowledge.regions import REGIONS, Comparison


@dataclass(frozen=True)
class Ledger:
    """One model's output as a sum over the regions that it belongs to.

    Attributes
    ----------
    parts : dict of str to Tensor
        Region name to signed effect, each of shape (samples,), in the raw units of the value function; with an axis of
        seeds in front where there are several, as all that follows.
    total : Tensor
        v(N) - v(0), shape (samples,): what the parts add up to (exactly, where all interactions are counted).
    v_full : Tensor
        v(N), shape (samples,).
    """

    parts: dict[str, Tensor]
    total: Tensor
    v_full: Tensor

    @property
    def error(self) -> float:
        """Largest |sum of parts - total| over samples."""
        return (torch.stack(list(self.parts.values())).sum(0) - self.total).abs().max().item()

    def positive_without(self, part: str | None = None) -> Tensor:
        """Whether v(N) stays above 0 with one part's effects taken out: bool, shape (samples,).

        For log-odds, above 0 means that the true class has more than half of the probability.
        """
        without = self.v_full if part is None else self.v_full - self.parts[part]
        return without > 0


def ledger(comparison: Comparison, model: str, v_empty: Tensor, v_full: Tensor) -> Ledger:
    """The ledger of one of the three models; `v_empty`, `v_full` are v(0), v(N) of shape (samples,)."""
    effects = comparison.regions.sum((-1, -2)) * comparison.scale[model]
    parts = {
        region: effects[:, index] for index, (region, models) in enumerate(REGIONS.items()) if model in models
    }
    return Ledger(parts, v_full - v_empty, v_full)
