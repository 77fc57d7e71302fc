"""One share of what models know, from its zero to its one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bequeath.knowledge.repeats import Second

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# p up to which a share is called above chance.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Share:
    """A share of strength over n samples (and seeds), from its zero to its one (METHOD 5).

    Attributes
    ----------
    observed : float
        Ratio of sums over samples and interactions, in [0, 1], counted across two readings of each model where there
        are two (`second`). NaN where there is no strength to take a share of.
    floor : float or None
        Chance level: the same with one model's interactions taken from other samples, in the mean over all ways to do
        so. Of relearned, those of the control. None for a single sample.
    ceiling : float or None
        What second readings of the same models reach. None where nothing was read twice.
    corrected : float or None
        The share between the two, never clipped. Of preserved and relearned (observed - floor) / (ceiling - floor):
        0 is no more than chance, 1 as much as two readings of one model; higher is more in common. Discarded and new
        are 1 less that: 0 is no more than a second reading of one model leaves, 1 as much as unrelated models do.
        None where there is no ceiling, or none that lies above the floor by more than its error.
    low, high : float
        95% bootstrap interval of `corrected` over samples (and seeds), observed share, floor and ceiling computed anew
        in each resample; NaN where `corrected` is None. Of `observed` where nothing was read twice (`second`: "once").
    p : float or None
        How rarely the samples in another order share as much (permutation test), whatever their strengths are.
    n, seeds : int
        Numbers of samples and of seeds.
    reason : str or None
        Why the share is not measurable; None where it is. Rely on no other number where there is a reason.
    second : {"split", "retest", "twin", "once"}
        The second readings: other masks, an equivalent game, other seeds of the same recipe; or none.
    observed_low, observed_high : float
        95% interval of `observed`; NaN for one sample.
    floor_within_classes, corrected_within_classes, p_within_classes : float or None
        The same with other samples of the same class alone; None where no classes are known, or all have one sample.
    is_rest : bool
        Whether it is what is left: discarded or new.
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
        """Whether more is in common than by chance: p is at most 5%, and the interval of what is in common is above 0.

        None where the share is not measurable.
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
        """The share of what is left: discarded from preserved."""

        def left(x: float | None) -> float | None:
            return None if x is None else 1 - x

        return replace(
            self,
            observed=1 - self.observed,
            observed_low=1 - self.observed_high,
            observed_high=1 - self.observed_low,
            floor=left(self.floor),
            ceiling=left(self.ceiling),
            corrected=left(self.corrected),
            low=1 - self.high,
            high=1 - self.low,
            floor_within_classes=left(self.floor_within_classes),
            corrected_within_classes=left(self.corrected_within_classes),
            is_rest=True,
        )
