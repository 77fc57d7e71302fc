"""Two readings of each model on the same samples: the observed share is taken across them, and they give its ceiling.

Source: docs/method.md, sections "Observed" and "Ceiling".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.alignment import align
from bequeath.knowledge.crossings import (
    Array,
    Crossed,
    Reliabilities,
    crossed,
    of_strength_one,
    strength,
    sum_of,
)
from bequeath.knowledge.regions import shared
from bequeath.knowledge.roles import ROLES
from bequeath.lattice.interactions import Interactions

Normalise = Literal["none", "output", "l1"]
Second = Literal["split", "retest", "twin", "once"]
"""Where the ceiling comes from: halves of the masks, an equivalent game, other seeds; once: there is no ceiling."""

Pairs = list[tuple[Tensor, Tensor]]


def scale_of(effects: Tensor, reading: Interactions, normalise: Normalise) -> float:
    """The number that the interactions of a reading are divided by before models are compared.

    Parameters
    ----------
    effects : Tensor
        Interactions (samples, 2, subsets).
    reading : Interactions
        The reading that they are from.
    normalise : {"l1", "output", "none"}
        Mean L1 norm over samples, mean |v(N) - v(0)|, or 1.

    Returns
    -------
    float
        In units of the value; 1 if it would be 0.

    Raises
    ------
    BequeathError
        If `normalise` is "output" and v(N) is not known.
    """
    if normalise == "none":
        return 1.0
    if normalise == "output":
        scale = reading.total.abs().nanmean().item()
        if not math.isfinite(scale):
            raise BequeathError(
                'normalise: "output" needs v(N), which this sparse reading lacks; evaluate the full mask, too'
            )
    else:
        scale = effects.abs().sum((-1, -2)).nanmean().item()
    return scale if scale > 0 else 1.0


def salient_part(effects: Tensor, salient: float | None) -> Tensor:
    """The interactions above this share of the largest one of their sample; all others are set to 0.

    Parameters
    ----------
    effects : Tensor
        Interactions (samples, 2, subsets).
    salient : float or None
        Share between 0 and 1; None keeps all interactions.

    Returns
    -------
    Tensor
        In the shape of `effects`.
    """
    if salient is None or not effects.numel():
        return effects
    size = effects.abs()
    return torch.where(size > salient * size.amax((-1, -2), keepdim=True), effects, torch.zeros_like(effects))


def halves_of(
    readings: Mapping[str, Interactions],
) -> tuple[dict[str, Interactions], dict[str, Interactions]] | None:
    """Two readings of each model, from two disjoint halves of the masks; None if one of them has no halves.

    A reading has no halves if it is exact, or if half of its masks are too few.
    """
    try:
        halves = {name: reading.halves for name, reading in readings.items() if reading.listed is not None}
    except BequeathError:  # half of the masks is too few for the order, or the values are not at hand
        return None
    if not readings or len(halves) < len(readings):
        return None
    return {name: pair[0] for name, pair in halves.items()}, {name: pair[1] for name, pair in halves.items()}


@dataclass(frozen=True, eq=False)
class Repeats:
    """Two readings of each of several models, on the same samples and subsets, each divided by its scale.

    Shared strength is counted across readings: the first reading of one model with the second reading of the other, and
    the other way round. Two models that are read from the same masks have errors in common; these do not count.

    Attributes
    ----------
    first, second : dict of str to Tensor
        By model, (samples, 2, subsets); `second` is `first` if the models were read once.
    orders : Tensor
        Number of players in each subset.
    most : int
        The largest order.
    """

    first: dict[str, Tensor]
    second: dict[str, Tensor]
    orders: Tensor
    most: int

    @classmethod
    def of(
        cls,
        first: Mapping[str, Interactions],
        second: Mapping[str, Interactions] | None,
        normalise: Normalise = "l1",
        salient: float | None = None,
    ) -> Repeats:
        """Bring readings to the same subsets and scales; `second` is None if there are no second readings."""
        readings = {("first", name): reading for name, reading in first.items()}
        readings |= {("second", name): reading for name, reading in (second or {}).items()}
        aligned = align({" ".join(key): reading for key, reading in readings.items()})
        scaled: dict[str, dict[str, Tensor]] = {"first": {}, "second": {}}
        for (which, name), reading in readings.items():
            effects = salient_part(aligned.effects[f"{which} {name}"], salient)
            # A sample that was not read has NaN for v(0), even if it got zeros for the terms of other samples.
            effects[reading.offset.isnan().reshape(-1)] = torch.nan
            scaled[which][name] = effects / scale_of(effects, reading, normalise)
        return cls(
            scaled["first"],
            scaled["first"] if second is None else scaled["second"],
            aligned.orders,
            aligned.most,
        )

    @property
    def repeated(self) -> bool:
        """Whether there are two readings of each model."""
        return self.second is not self.first

    @property
    def _pairings(self) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """The two readings as (one reading of the first model, another reading of the second model)."""
        pairing = [(self.first, self.second)]
        return [*pairing, (self.second, self.first)] if self.repeated else pairing

    def _sums(self, parts: Sequence[Tensor]) -> Array:
        """Sum of the strengths of all parts, by sample and order."""
        return sum_of([strength(part, self.orders, self.most) for part in parts])

    def _crossed(self, pairs: Pairs, whole: Array, reliabilities: Reliabilities) -> Crossed:
        """Strength shared by the first of each pair on one sample and the second on another, summed over the pairs."""
        common = [crossed(a, b, self.orders, self.most) for a, b in pairs]
        each = [crossed(of_strength_one(a), of_strength_one(b), self.orders, self.most) for a, b in pairs]
        return Crossed(sum_of(common), whole, sum_of(each), reliabilities)

    def reliability(self, model: str, twins: Sequence[str] = ()) -> tuple[Array, Array] | None:
        """The reliability of a model: with its twins if there are any, else between its own two readings.

        Returns
        -------
        tuple of ndarray, or None
            Strength shared by both readings, and strength of both readings: (samples, orders) each. Their quotient is
            the reliability. None without a second reading.
        """
        if twins:
            pairs = [(x[model], y[twin]) for x, y in self._pairings for twin in twins]
        elif self.repeated:
            pairs = [(self.first[model], self.second[model])]
        else:
            return None
        common = self._sums([shared(a, b) for a, b in pairs])
        return 2 * common, self._sums([part for pair in pairs for part in pair])

    def pair(self, a: str, b: str, twins: Mapping[str, Sequence[str]] | None = None) -> Crossed:
        """How much of model a's strength model b has; `twins` of the two models, if given, make the ceiling."""
        reliabilities = [self.reliability(model, (twins or {}).get(model, ())) for model in (a, b)]
        return self._crossed(
            [(x[a], y[b]) for x, y in self._pairings],
            self._sums([x[a] for x, _ in self._pairings]),
            tuple(known for known in reliabilities if known is not None),
        )

    def reversed(self, crossed: Crossed, b: str) -> Crossed:
        """How much of model b's strength model a has, from `pair(a, b)`."""
        return replace(
            crossed,
            common=np.swapaxes(crossed.common, 0, 1),
            whole=self._sums([y[b] for _, y in self._pairings]),
            each=np.swapaxes(crossed.each, 0, 1),
        )

    def in_common(self, a: str, b: str, c: str, twins: Sequence[str] = ()) -> Crossed:
        """How much of the strength that models a and b share model c has, too.

        The ceiling is what `twins` of b have of it. Without twins it is what second readings of a and b have of it,
        lowered if c is less reliable.
        """
        common = [(torch.sign(x[a]) * shared(x[a], y[b]), x, y) for x, y in self._pairings]
        readings = [self.first, self.second] if self.repeated else [self.first]
        whole = len(readings) * self._sums([part for part, *_ in common])
        pairs: Pairs = []
        if twins:
            pairs = [(part, reading[twin]) for part, *_ in common for reading in readings for twin in twins]
        elif self.repeated:
            pairs = [(part, second) for part, x, y in common for second in (x[b], y[a])]
        ceiling: Reliabilities = ()
        if pairs:
            ceiling = ((self._sums([shared(*pair) for pair in pairs]), max(1, len(twins)) * whole),)
        result = self._crossed(
            [(part, reading[c]) for part, *_ in common for reading in readings], whole, ceiling
        )
        # A twin of b is as reliable as b, so it needs no correction for c.
        reliabilities = () if twins else [self.reliability(model) for model in (a, b, c)]
        return replace(result, of_three=tuple(known for known in reliabilities if known is not None))


@dataclass(frozen=True, eq=False)
class Repeated:
    """Readings of the models of a comparison, with all kinds of second readings that exist.

    Attributes
    ----------
    readings : mapping of str to Interactions
        By role: ``before``, ``after``, perhaps ``control``, ``after twin`` and the like.
    retests : mapping of str to Interactions
        By role, readings of the same models on an equivalent game.
    normalise : {"l1", "output", "none"}
        How the scale of each reading is chosen.
    salient : float or None
        Only interactions above this share of the largest one of their sample count.
    """

    readings: Mapping[str, Interactions]
    retests: Mapping[str, Interactions]
    normalise: Normalise
    salient: float | None

    @cached_property
    def of(self) -> dict[Second, Repeats]:
        """The readings by kind of second reading. Twins are read as the models are, across halves of the masks."""
        second, usual = self.usual
        by_kind: dict[Second, Repeats] = {} if second == "once" else {second: usual}
        if self.retests and all(role in self.retests for role in ROLES if role in self.readings):
            first = {role: self.readings[role] for role in self.retests}
            by_kind["retest"] = Repeats.of(first, self.retests, self.normalise, self.salient)
        if any(self._twins.values()):
            by_kind["twin"] = usual
        return by_kind or {second: usual}

    @property
    def seconds(self) -> tuple[Second, ...]:
        """The kinds of second readings that exist."""
        return tuple(self.of)

    @cached_property
    def usual(self) -> tuple[Second, Repeats]:
        """The readings that all models have: from two halves of the masks if possible, else one reading each."""
        halves = halves_of(self.readings)
        if halves is None:
            return "once", Repeats.of(self.readings, None, self.normalise, self.salient)
        return "split", Repeats.of(*halves, self.normalise, self.salient)

    @property
    def _twins(self) -> dict[str, list[str]]:
        """Names of the twins of each model."""
        return {role: [name for name in self.readings if name.startswith(f"{role} twin")] for role in ROLES}

    def crossed(self, second: Second) -> dict[str, Crossed]:
        """Shared strengths by measure: preserved, new and, with a control, relearned."""
        repeats, twins = self.of[second], self._twins if second == "twin" else {}
        preserved = repeats.pair("before", "after", twins)
        by_measure = {"preserved": preserved, "new": repeats.reversed(preserved, "after")}
        if "control" in self.readings:
            by_measure["relearned"] = repeats.in_common("before", "after", "control", twins.get("after", ()))
        return by_measure
