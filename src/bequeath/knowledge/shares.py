"""Calibrated shares of one comparison, or of the comparisons of several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from bequeath.errors import BequeathError
from bequeath.knowledge.calibration import Levels, interval, p_values, point, resampled_levels, unreliable
from bequeath.knowledge.crossings import Array, Crossed
from bequeath.knowledge.repeats import Second
from bequeath.knowledge.share import Share
from bequeath.knowledge.statistics import Estimate
from bequeath.printable import one_line

# By measure: the strength that it is a share of.
WHOLE = {"preserved": "before", "discarded": "before", "new": "after", "relearned": "preserved"}
MEASURES = tuple(WHOLE)
# By measure: the models that it depends on.
MODELS_OF = {"preserved": ("before", "after"), "relearned": ("before", "after", "control")}

SECONDS: tuple[Second, ...] = get_args(Second)

# Fewest samples for a verdict.
LEAST_SAMPLES = 8


@dataclass(frozen=True, eq=False)
class Strengths:
    """Strengths by sample and order, from which shares are computed; of one comparison, or of several seeds.

    Attributes
    ----------
    by_order : dict of str to ndarray
        For each model (by its role) and for ``preserved`` and ``relearned``: sum of abs(I) over both types, shape
        (samples, orders), orders from 1. With several seeds, on the same samples, an axis of seeds comes first.
    crossed : dict of str to dict of str to Crossed
        By kind of second reading, for ``preserved``, ``new`` and ``relearned``: strength that the models share on the
        same and on different samples. For ``new``, of the model after as the first model.
    classes : tuple of int or None
        Classes of the samples.
    not_measurable : dict of str to str
        By role: the reason why a model has no meaningful interactions.
    """

    by_order: dict[str, Array]
    crossed: dict[Second, dict[str, Crossed]]
    classes: tuple[int, ...] | None = None
    not_measurable: Mapping[str, str] = field(default_factory=dict)

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Strengths]) -> Strengths:
        """Join the strengths of several seeds.

        Raises
        ------
        BequeathError
            If they are not of the same models, samples and players.
        """
        shapes = {tuple((name, array.shape) for name, array in seed.by_order.items()) for seed in seeds}
        if len(shapes) != 1:
            raise BequeathError(
                f"seeds: strengths of {sorted(shapes)}; give the same models, samples and players for all"
            )
        first = seeds[0]
        return cls(
            {name: np.stack([seed.by_order[name] for seed in seeds]) for name in first.by_order},
            {
                second: {
                    name: Crossed.stacked([seed.crossed[second][name] for seed in seeds])
                    for name in by_measure
                }
                for second, by_measure in first.crossed.items()
                if all(second in seed.crossed for seed in seeds)
            },
            first.classes,
        )

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures; ``relearned`` is among them only with a control."""
        return MEASURES if "relearned" in self.by_order else MEASURES[:-1]

    @property
    def seconds(self) -> tuple[Second, ...]:
        """The kinds of second readings that exist; the first one is the default."""
        return tuple(second for second in SECONDS if second in self.crossed)

    def total(self, name: str) -> Array:
        """Strength over all orders, (..., samples), of a model or of a measure, from the whole readings."""
        if name in ("discarded", "new"):
            return self.total(WHOLE[name]) - self.total("preserved")
        return np.asarray(self.by_order[name].sum(-1))

    def share(self, name: str, second: Second | None = None) -> Share:
        """The share of one of `measures` over all orders, with one of `seconds` (by default the first)."""
        crossed = self._of(name, second)
        return self._shares(name, crossed.over_all(), second)[0]

    def by_orders(self, name: str, second: Second | None = None) -> list[Share]:
        """The share of a measure at each order from 1. The p-values of all orders hold together."""
        crossed = self._of(name, second)
        return self._shares(name, crossed.over(np.eye(crossed.whole.shape[-1])), second)

    def fall_with_order(self) -> Estimate:
        """Corrected preserved share of the lower half of the orders minus that of the upper half.

        NaN if one of the two is not measurable.
        """
        crossed = self._of("preserved").of_read()
        most, n = crossed.whole.shape[-1], crossed.whole.shape[-2]
        halves = np.zeros((most, 2))
        halves[: max(1, most // 2), 0] = halves[max(1, most // 2) :, 1] = 1
        parts = self._shares("preserved", self._of("preserved").over(halves), None)
        if n < 2 or any(part.corrected is None for part in parts):
            return Estimate(np.nan, np.nan, np.nan, n, crossed.seeds)
        drawn = resampled_levels(crossed.over(halves)).corrected
        low, high = interval(drawn[:, 0] - drawn[:, 1], n)
        fall = point(crossed.over(halves)).corrected
        return Estimate(float(fall[0] - fall[1]), low, high, n, crossed.seeds)

    def _of(self, name: str, second: Second | None = None) -> Crossed:
        return self.crossed[second or self.seconds[0]]["preserved" if name == "discarded" else name]

    def _shares(self, name: str, crossed: Crossed, second: Second | None) -> list[Share]:
        """The shares of a measure, one for each group of orders."""
        crossed, read = crossed.of_read(), crossed.read
        classes = None if self.classes is None else np.asarray(self.classes)[read]
        shares = calibrated(crossed, classes, second or self.seconds[0])
        reason = self._reason(name, second)
        shares = [replace(share, reason=reason or share.reason) for share in shares]
        return [share.rest for share in shares] if name in ("discarded", "new") else shares

    def _reason(self, name: str, second: Second | None) -> str | None:
        """The reason why a measure is not measurable whatever its numbers are; None if there is none."""
        whole = WHOLE[name]
        if not self.total(whole).sum() > 0:
            return (
                "nothing is preserved, so there is no share of it"
                if whole == "preserved"
                else f"the model {whole} has no interactions"
            )
        reasons = [
            self.not_measurable[role]
            for role in MODELS_OF.get(name, MODELS_OF["preserved"])
            if role in self.not_measurable
        ]
        if reasons:
            return "; ".join(reasons)
        if name == "relearned":
            preserved = self.share("preserved", second)
            if preserved.reason:
                return f"the preserved share is not measurable: {preserved.reason}"
            if not preserved.above_chance:
                return "what is preserved is not above chance, so there is nothing that could be relearned"
        return None


def calibrated(
    crossed: Crossed, classes: NDArray[Any] | None = None, second: Second = "split"
) -> list[Share]:
    """Calibrated shares of the first model's strength that the second model also has, for each group of orders.

    Parameters
    ----------
    crossed : Crossed
        Shared strengths.
    classes : ndarray, optional
        Classes of the samples.
    second : {"split", "retest", "twin", "once"}
        Kind of second readings; it is stored with the shares.

    Returns
    -------
    list of Share
        One for each group of orders.
    """
    n, seeds = crossed.whole.shape[-2], crossed.seeds
    groups = crossed.whole.shape[-1]
    if n == 0:
        nothing = "no sample was read twice"
        return [Share(np.nan, None, None, None, np.nan, np.nan, None, 0, nothing, seeds, second)] * groups
    levels, resamples = point(crossed), resampled_levels(crossed)
    within = None if classes is None else point(crossed, classes)
    p = p_values(crossed)
    p_within = None if classes is None else p_values(crossed, classes.tolist())
    return [_share(g, levels, resamples, within, p, p_within, n, seeds, second) for g in range(groups)]


def _share(
    g: int,
    levels: Levels,
    resamples: Levels,
    within: Levels | None,
    p: Array | None,
    p_within: Array | None,
    n: int,
    seeds: int,
    second: Second,
) -> Share:
    """The share of group g, from the levels of the data, of resamples and within classes."""

    def number(values: Array | None) -> float | None:
        return None if values is None or not np.isfinite(values[g]) else float(values[g])

    reason = unreliable(
        levels.floor[g], levels.ceiling[g], interval(resamples.ceiling[:, g] - resamples.floor[:, g], n)[0], n
    )
    has_scale = number(levels.ceiling) is not None and reason is None
    if n < LEAST_SAMPLES:
        reason = f"only {n} sample{'s' if n > 1 else ''}; a verdict needs {LEAST_SAMPLES}"
    corrected = number(levels.corrected) if has_scale else None
    observed_low, observed_high = interval(resamples.observed[:, g], n)
    low, high = np.nan, np.nan
    if corrected is not None:
        low, high = interval(resamples.corrected[:, g], n)
        low, high = min(low, corrected), max(high, corrected)
    elif second == "once":
        low, high = observed_low, observed_high
    return Share(
        float(levels.observed[g]),
        number(levels.floor),
        number(levels.ceiling),
        corrected,
        low,
        high,
        number(p),
        n,
        reason,
        seeds,
        second,
        observed_low,
        observed_high,
        None if within is None else number(within.floor),
        None if within is None or not has_scale else number(within.corrected),
        number(p_within),
    )
