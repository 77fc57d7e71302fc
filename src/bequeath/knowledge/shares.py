"""Shares of what models know, each beside its chance level: over one comparison, or over those of several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bequeath.errors import BequeathError
from bequeath.knowledge.statistics import Estimate, mean_estimate, ratio_estimate, ratio_estimates

Array = NDArray[np.float64]

# Share -> the strength that it is a part of.
WHOLE = {"preserved": "before", "discarded": "before", "new": "after", "relearned": "preserved"}
MEASURES = tuple(WHOLE)


@dataclass(frozen=True)
class Share:
    """A share of strength over n samples (and seeds), with what it must be read against (METHOD 5).

    Attributes
    ----------
    observed : float
        Ratio of sums over samples and interactions, in [0, 1]. NaN where there is no strength to take a share of.
    floor : float or None
        Chance level: the same with one model's interactions taken from other samples, in the mean over all ways to do
        so. Of relearned, those of the control. None for a single sample.
    ceiling, corrected : None
        What a second reading of the same model reaches, and the share between floor and ceiling. Not measured here.
    low, high : float
        95% bootstrap interval of `observed` over samples (and seeds); NaN for one sample.
    p : None
        Not measured here.
    n, seeds : int
        Numbers of samples and of seeds.
    reason : str or None
        Why the share cannot be measured; None where it can.
    floor_within_classes : float or None
        As `floor`, with other samples of the same class alone; None where no classes are known, or all have one sample.
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
    floor_within_classes: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True, eq=False)
class Strengths:
    """Strengths of one comparison, or of one for each seed.

    Attributes
    ----------
    by_order : dict of str to ndarray
        For each model (by its role) and for ``preserved`` and ``relearned``: sum of |I| over both types, shape
        (samples, n), orders from 1; with an axis of seeds in front where there are several, on the same samples.
    chance : dict of str to ndarray
        What is preserved and relearned where one model's interactions are those of other samples, of the same shape.
    chance_within_classes : dict of str to ndarray, or None
        The same, among samples of one class.
    """

    by_order: dict[str, Array]
    chance: dict[str, Array]
    chance_within_classes: dict[str, Array] | None = None

    @classmethod
    def stacked(cls, seeds: Sequence[Strengths]) -> Strengths:
        """Those of several seeds as one.

        Raises
        ------
        BequeathError
            If they are not of the same models, samples and players.
        """
        shapes = {tuple((name, a.shape) for name, a in one.by_order.items()) for one in seeds}
        if len(shapes) != 1:
            raise BequeathError(
                f"seeds: strengths of {sorted(shapes)}; all need the same models, samples and players"
            )

        def stack(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
            return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

        within = [one.chance_within_classes for one in seeds if one.chance_within_classes is not None]
        return cls(
            stack([one.by_order for one in seeds]),
            stack([one.chance for one in seeds]),
            stack(within) if len(within) == len(seeds) else None,
        )

    @property
    def measures(self) -> tuple[str, ...]:
        """The shares that there are: without a control nothing is relearned."""
        return MEASURES if "relearned" in self.by_order else MEASURES[:-1]

    def total(self, name: str) -> Array:
        """Strength over all orders, (..., samples), of a model or of one of `measures`."""
        if name in ("discarded", "new"):
            return self.total(WHOLE[name]) - self.total("preserved")
        return np.asarray(self.by_order[name].sum(-1))

    def share(self, name: str) -> Share:
        """One of `measures`: ratio of sums over samples (and seeds)."""
        whole = self.total(WHOLE[name])
        observed = ratio_estimate(self.total(name), whole)
        reason = (
            None if np.isfinite(observed.mean) else f"nothing is {WHOLE[name]}, so there is no share of it"
        )
        if WHOLE[name] in ("before", "after") and reason:
            reason = f"the model {WHOLE[name]} has no interactions"
        return Share(
            observed.mean,
            self._floor(name, self.chance),
            None,
            None,
            observed.low,
            observed.high,
            None,
            observed.n,
            reason,
            observed.seeds,
            None if self.chance_within_classes is None else self._floor(name, self.chance_within_classes),
        )

    def _floor(self, name: str, chance: Mapping[str, Array]) -> float | None:
        """Of the samples that have a partner."""
        common = chance["relearned" if name == "relearned" else "preserved"].sum(-1)
        whole = self.total(WHOLE[name])
        paired = np.isfinite(common)
        total = whole[paired].sum()
        if not total > 0:
            return None
        share = float(common[paired].sum() / total)
        return 1 - share if name in ("discarded", "new") else share

    def preserved_by_order(self) -> list[Estimate]:
        """Preserved share at each order from 1."""
        return ratio_estimates(self.by_order["preserved"], self.by_order["before"])

    def fall_with_order(self) -> Estimate:
        """Mean over samples of the preserved share in the lower half of the orders minus that in the upper half."""
        preserved, whole = self.by_order["preserved"], self.by_order["before"]
        half = whole.shape[-1] // 2
        low, high = (
            preserved[..., part].sum(-1) / np.maximum(whole[..., part].sum(-1), 1e-300)
            for part in (slice(None, half), slice(half, None))
        )
        return mean_estimate(low - high)


@dataclass(frozen=True)
class Readings:
    """One comparison read in several ways, which a verdict must not depend on.

    Attributes
    ----------
    strengths : Strengths
        By the decomposition and the scale that were asked for.
    by_and : Strengths
        By AND interactions alone, on that scale: the unique exact reading, or the sparse one without OR terms.
    scaled, raw : Strengths
        By that decomposition, each model's interactions divided by its own mean L1 norm; in units of the value.
    """

    strengths: Strengths
    by_and: Strengths
    scaled: Strengths
    raw: Strengths

    @classmethod
    def stacked(cls, seeds: Sequence[Readings]) -> Readings:
        """Those of several seeds as one."""
        names = ("strengths", "by_and", "scaled", "raw")
        return cls(*(Strengths.stacked([getattr(one, name) for one in seeds]) for name in names))
