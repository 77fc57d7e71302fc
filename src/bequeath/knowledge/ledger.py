"""The ledger: the output of one model as a sum over regions, since its interactions add up to its output.

Source: docs/method.md, section "Any number of models".
"""

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
        Signed effect of each region, shape (samples,), in the raw units of the value function. With several seeds, an
        axis of seeds comes first, here and in all other fields.
    constant : Tensor
        Constant of a sparse reading, which counts as soon as any player is shown; shape (samples,). 0 in exact
        readings.
    total : Tensor
        v(N) - v(0), shape (samples,): the sum of parts, constant and `unexplained`.
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
        """Join the ledgers of several seeds."""
        parts = {region: torch.stack([seed.parts[region] for seed in seeds]) for region in seeds[0].parts}
        names = ("constant", "total", "v_full")
        return cls(parts, *(torch.stack([getattr(seed, name) for seed in seeds]) for name in names))

    @property
    def unexplained(self) -> Tensor:
        """Total minus constant minus parts, (samples,): 0 if the reading is exact and all interactions are counted."""
        return self.total - self.constant - torch.stack(list(self.parts.values())).sum(0)

    @property
    def error(self) -> float:
        """Largest |unexplained| over samples."""
        return self.unexplained.abs().max().item()

    def positive_without(self, effect: Tensor | float = 0.0) -> Tensor:
        """Whether v(N) minus an effect is above 0: bool, shape (samples,).

        For log-odds, above 0 means that the true class has more than half of the probability.
        """
        return self.v_full - effect > 0


def ledger(
    comparison: Comparison, model: str, v_empty: Tensor, v_full: Tensor, constant: Tensor | None = None
) -> Ledger:
    """The output of one of the models compared, as a sum over the regions that it belongs to.

    Source: docs/method.md, section "Any number of models".

    Parameters
    ----------
    comparison : Comparison
        From `compare`.
    model : str
        Role of the model, such as ``"after"``.
    v_empty, v_full : Tensor
        v(0) and v(N) of the model, shape (samples,), in units of the value.
    constant : Tensor, optional
        `Interactions.constant` of a sparse reading, shape (samples,); 0 by default.

    Returns
    -------
    Ledger
        Signed effects (samples,) in units of the value. They add up to v(N) - v(0).

    Raises
    ------
    BequeathError
        If the comparison has no such model.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> before = torch.tensor([[0.0, 1.0, 2.0, 4.0]], dtype=torch.float64)
    >>> after = torch.tensor([[0.0, 1.0, 1.0, 3.0]], dtype=torch.float64)
    >>> comparison = bq.compare(before=bq.decompose(before, "and"), after=bq.decompose(after, "and"))
    >>> ledger = bq.ledger(comparison, "after", after[:, 0], after[:, -1])
    >>> ledger.total.tolist()
    [3.0]
    >>> sum(part.item() for part in ledger.parts.values())
    3.0
    """
    if model not in comparison.values:
        raise BequeathError(f"ledger: no model {model!r}; give one of {', '.join(comparison.values)}")
    parts = {
        region: effects.sum((-1, -2)) * comparison.scale[model]
        for region, effects in comparison.regions.items()
        if model in region
    }
    v_full, v_empty = numbers(v_full, "v_full"), numbers(v_empty, "v_empty")
    total = v_full - v_empty
    return Ledger(parts, torch.zeros_like(total) if constant is None else constant, total, v_full)
