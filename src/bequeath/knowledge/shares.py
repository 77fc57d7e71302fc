"""Shares of what models know, from their zero to their one: of one comparison, or of those of several seeds."""

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

# Share -> the strength that it is a part of.
WHOLE = {"preserved": "before", "discarded": "before", "new": "after", "relearned": "preserved"}
MEASURES = tuple(WHOLE)
# Models that a share says something of.
OF = {"preserved": ("before", "after"), "relearned": ("before", "after", "control")}

SECONDS: tuple[Second, ...] = get_args(Second)

# Fewer samples bear no verdict.
LEAST_SAMPLES = 8


@dataclass(frozen=True, eq=False)
class Strengths:
    """What shares are made of: strengths of one comparison, or of one for each seed.

    Attributes
    ----------
    by_order : dict of str to ndarray
        For each model (by its role) and for ``preserved`` and ``relearned``: sum of abs(I) over both types, shape
        (samples, orders), orders from 1; with an axis of seeds in front where there are several, on the same samples.
    crossed : dict of str to dict of str to Crossed
        By kind of second reading, for ``preserved``, ``new`` and ``relearned``: what the models have in common on the
        same and on other samples. Of new: how much of the model after the model before has.
    classes : tuple of int or None
        Of the samples.
    not_measurable : dict of str to str
        By role: why there is nothing to be read in a model.
    """

    by_order: dict[str, Array]
    crossed: dict[Second, dict[str, Crossed]]
    classes: tuple[int, ...] | None = None
    not_measurable: Mapping[str, str] = field(default_factory=dict)

    __repr__ = one_line

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
        first = seeds[0]
        return cls(
            {name: np.stack([one.by_order[name] for one in seeds]) for name in first.by_order},
            {
                second: {
                    name: Crossed.stacked([one.crossed[second][name] for one in seeds]) for name in found
                }
                for second, found in first.crossed.items()
                if all(second in one.crossed for one in seeds)
            },
            first.classes,
        )

    @property
    def measures(self) -> tuple[str, ...]:
        """The shares that there are: without a control nothing is relearned."""
        return MEASURES if "relearned" in self.by_order else MEASURES[:-1]

    @property
    def seconds(self) -> tuple[Second, ...]:
        """Kinds of second readings that there are, the one that shares are told by first."""
        return tuple(second for second in SECONDS if second in self.crossed)

    def total(self, name: str) -> Array:
        """Strength over all orders, (..., samples), of a model or of one of `measures`, by the whole readings."""
        if name in ("discarded", "new"):
            return self.total(WHOLE[name]) - self.total("preserved")
        return np.asarray(self.by_order[name].sum(-1))

    def share(self, name: str, second: Second | None = None) -> Share:
        """One of `measures` over all orders, by one of `seconds` (the first that there is)."""
        crossed = self._of(name, second)
        return self._shares(name, crossed.over_all(), second)[0]

    def by_orders(self, name: str, second: Second | None = None) -> list[Share]:
        """A share at each order from 1; p is of the largest over orders, so that all orders together hold it."""
        crossed = self._of(name, second)
        return self._shares(name, crossed.over(np.eye(crossed.whole.shape[-1])), second)

    def fall_with_order(self) -> Estimate:
        """Corrected preserved share over the lower half of the orders less that over the upper half.

        NaN where one of the two is not measurable.
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
        """One of each group of orders."""
        crossed, keep = crossed.of_read(), crossed.read
        classes = None if self.classes is None else np.asarray(self.classes)[keep]
        found = calibrated(crossed, classes, second or self.seconds[0])
        reason = self._reason(name, second)
        found = [replace(one, reason=reason or one.reason) for one in found]
        return [one.rest for one in found] if name in ("discarded", "new") else found

    def _reason(self, name: str, second: Second | None) -> str | None:
        """Why a share is not measurable whatever its numbers are."""
        whole = WHOLE[name]
        if not self.total(whole).sum() > 0:
            return (
                "nothing is preserved, so there is no share of it"
                if whole == "preserved"
                else f"the model {whole} has no interactions"
            )
        reasons = [
            self.not_measurable[role] for role in OF.get(name, OF["preserved"]) if role in self.not_measurable
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
    """The share of the first model's strength that the second has, for each group of orders: with all of its levels."""
    n, seeds = crossed.whole.shape[-2], crossed.seeds
    groups = crossed.whole.shape[-1]
    if n == 0:
        nothing = "no sample was read twice"
        return [Share(np.nan, None, None, None, np.nan, np.nan, None, 0, nothing, seeds, second)] * groups
    at, drawn = point(crossed), resampled_levels(crossed)
    within = None if classes is None else point(crossed, classes)
    p = p_values(crossed)
    p_within = None if classes is None else p_values(crossed, classes.tolist())
    return [_share(g, at, drawn, within, p, p_within, n, seeds, second) for g in range(groups)]


def _share(
    g: int,
    at: Levels,
    drawn: Levels,
    within: Levels | None,
    p: Array | None,
    p_within: Array | None,
    n: int,
    seeds: int,
    second: Second,
) -> Share:
    def number(values: Array | None) -> float | None:
        return None if values is None or not np.isfinite(values[g]) else float(values[g])

    reason = unreliable(
        at.floor[g], at.ceiling[g], interval(drawn.ceiling[:, g] - drawn.floor[:, g], n)[0], n
    )
    above = number(at.ceiling) is not None and reason is None
    if n < LEAST_SAMPLES:
        reason = f"only {n} sample{'s' if n > 1 else ''}; a verdict needs {LEAST_SAMPLES}"
    corrected = number(at.corrected) if above else None
    observed_low, observed_high = interval(drawn.observed[:, g], n)
    low, high = np.nan, np.nan
    if corrected is not None:
        low, high = interval(drawn.corrected[:, g], n)
        low, high = min(low, corrected), max(high, corrected)
    elif second == "once":
        low, high = observed_low, observed_high
    return Share(
        float(at.observed[g]),
        number(at.floor),
        number(at.ceiling),
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
        None if within is None or not above else number(within.corrected),
        number(p_within),
    )
