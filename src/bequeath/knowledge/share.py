"""A calibrated share of strength, with chance level, ceiling and interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bequeath.knowledge.repeats import Second

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Largest p-value of a share above chance.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Share:
    """A share of strength over samples (and seeds), with its chance level, ceiling and interval.

    Source: docs/method.md, section "Measures with a zero and a one".

    Attributes
    ----------
    observed : float
        Ratio of sums over samples and interactions, in [0, 1]. With two readings of each model (`second`), one reading
        of one model is compared with the other reading of the other. NaN without any strength.
    floor : float or None
        Chance level: mean of the same share when the interactions of one model (for relearned: of the control) are
        taken from other samples. None for a single sample.
    ceiling : float or None
        Reliability: the share that second readings of the same models reach. None if nothing was read twice.
    corrected : float or None
        The calibrated share, never clipped. For preserved and relearned it is (observed - floor) / (ceiling - floor).
        0: chance level; 1: as much as two readings of one model share; higher is more in common. For discarded and new
        it is 1 minus that. None if there is no ceiling, or if it is not above the floor by more than its error.
    low, high : float
        95% bootstrap interval of `corrected` over samples (and seeds); observed share, floor and ceiling are recomputed
        in each resample. NaN if `corrected` is None. If nothing was read twice, the interval of `observed`.
    p : float or None
        p-value of the permutation test against chance.
    n, seeds : int
        Numbers of samples and of seeds.
    reason : str or None
        Why the share is not measurable; None if it is. If there is a reason, do not rely on the numbers.
    second : {"split", "retest", "twin", "once"}
        Kind of second readings: other masks, an equivalent game, other seeds of the same recipe; once: none.
    observed_low, observed_high : float
        95% interval of `observed`; NaN for one sample.
    floor_within_classes, corrected_within_classes, p_within_classes : float or None
        The same with other samples of the same class only. None without classes, or if each class has one sample.
    is_rest : bool
        Whether it is the complement of a share: discarded or new.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> before = bq.decompose(torch.tensor([[0.0, 1.0, 2.0, 4.0]]), "and")
    >>> after = bq.decompose(torch.tensor([[0.0, 1.0, 0.0, 1.0]]), "and")
    >>> share = bq.compare(before=before, after=after, normalise="none").share("preserved")
    >>> share.observed, share.reason
    (0.25, 'only 1 sample; a verdict needs 8')
    """

    observed: float
    floor: float | None
    ceiling: float | None
    corrected: float | None
    low: float
    high: float
    p: float | None
    n: int
    reason: str | None
    seeds: int = 1
    second: Second = "once"
    observed_low: float = np.nan
    observed_high: float = np.nan
    floor_within_classes: float | None = None
    corrected_within_classes: float | None = None
    p_within_classes: float | None = None
    is_rest: bool = False

    def __repr__(self) -> str:
        if self.reason is not None or self.corrected is None:
            return f"Share(not measurable: {self.reason})"
        p = "" if self.p is None else ", p < 0.001" if self.p < 1e-3 else f", p = {self.p:.3f}"
        ends = f"[{100 * self.low:.0f}%, {100 * self.high:.0f}%]"
        return f"Share({100 * self.corrected:.0f}% {ends} of the way from chance to the same model{p}, n = {self.n})"

    def _repr_html_(self) -> str:
        from bequeath import notebook

        return notebook.share_html(self)

    def plot(self, *, name: str = "in common", ax: Axes | None = None) -> Axes:
        """The share on its scale: see `bequeath.plots.share`."""
        from bequeath import plots

        return plots.share(self, name=name, ax=ax)

    @property
    def above_chance(self) -> bool | None:
        """Whether the models have more in common than by chance; None if the share is not measurable.

        True if p is at most 5% and the interval of the corrected share in common is above 0.
        """
        if self.reason is not None or self.corrected is None or self.p is None:
            return None
        return self.p <= SIGNIFICANT and (self.low > 0 if not self.is_rest else self.high < 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        plain = {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in asdict(self).items()
            if key != "is_rest"
        }
        return plain | {"above_chance": self.above_chance}

    @property
    def rest(self) -> Share:
        """The complement of this share, such as discarded from preserved."""

        def complement(x: float | None) -> float | None:
            return None if x is None else 1 - x

        return replace(
            self,
            observed=1 - self.observed,
            observed_low=1 - self.observed_high,
            observed_high=1 - self.observed_low,
            floor=complement(self.floor),
            ceiling=complement(self.ceiling),
            corrected=complement(self.corrected),
            low=1 - self.high,
            high=1 - self.low,
            floor_within_classes=complement(self.floor_within_classes),
            corrected_within_classes=complement(self.corrected_within_classes),
            is_rest=True,
        )
