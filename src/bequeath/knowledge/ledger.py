"""Regions as shares of the real output: interactions add up to it, so do their regions (METHOD 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.regions import Region
from bequeath.lattice.given import numbers
from bequeath.printable import one_line


@dataclass(frozen=True)
class Ledger:
    """One model's output as a sum over the regions that it belongs to.

    Attributes
    ----------
    parts : dict of Region to Tensor
        Signed effect of each region, of shape (samples,), in the raw units of the value function; with an axis of
        seeds in front where there are several, as all that follows.
    constant : Tensor
        What any shown player brings, whichever it is, shape (samples,): of sparse readings; 0 in exact ones.
    total : Tensor
        v(N) - v(0), shape (samples,): what parts, constant and `unexplained` add up to.
    v_full : Tensor
        v(N), shape (samples,).
    """

    parts: dict[Region, Tensor]
    constant: Tensor
    total: Tensor
    v_full: Tensor

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Ledger]) -> Ledger:
        """Those of several seeds as one."""
        parts = {region: torch.stack([one.parts[region] for one in seeds]) for region in seeds[0].parts}
        names = ("constant", "total", "v_full")
        return cls(parts, *(torch.stack([getattr(one, name) for one in seeds]) for name in names))

    @property
    def unexplained(self) -> Tensor:
        """What the interactions leave of the total, (samples,): 0 if they are exact and all are counted."""
        return self.total - self.constant - torch.stack(list(self.parts.values())).sum(0)

    @property
    def error(self) -> float:
        """Largest |unexplained| over samples."""
        return self.unexplained.abs().max().item()

    def positive_without(self, effect: Tensor | float = 0.0) -> Tensor:
        """Whether v(N) stays above 0 with an effect taken out: bool, shape (samples,).

        For log-odds, above 0 means that the true class has more than half of the probability.
        """
        return self.v_full - effect > 0


def ledger(
    comparison: Comparison, model: str, v_empty: Tensor, v_full: Tensor, constant: Tensor | None = None
) -> Ledger:
    """The ledger of one of the models compared, by its role; `v_empty`, `v_full` are v(0), v(N) of shape (samples,).

    `constant`, of that shape, is that of a sparse reading (`Interactions.constant`).

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
    v_full, v_empty = numbers(v_full, "v_full"), numbers(v_empty, "v_empty")
    total = v_full - v_empty
    return Ledger(parts, torch.zeros_like(total) if constant is None else constant, total, v_full)
