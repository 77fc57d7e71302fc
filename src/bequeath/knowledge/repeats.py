"""Two readings of each model on the same samples: what a share is observed on, and what its ceiling comes from."""

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
"""Where a share's ceiling comes from: halves of the masks, an equivalent game, other seeds; once: from nowhere."""

Pairs = list[tuple[Tensor, Tensor]]


def scale_of(effects: Tensor, reading: Interactions, normalise: Normalise) -> float:
    """What a reading's interactions, (samples, 2, subsets), are divided by to be compared.

    Raises
    ------
    BequeathError
        If it is the output's size that is asked for, and v(N) is not known.
    """
    if normalise == "none":
        return 1.0
    if normalise == "output":
        scale = reading.total.abs().nanmean().item()
        if not math.isfinite(scale):
            raise BequeathError(
                'normalise: "output" needs v(N), which a sparse reading does not know; evaluate the full mask, too'
            )
    else:
        scale = effects.abs().sum((-1, -2)).nanmean().item()
    return scale if scale > 0 else 1.0


def salient_part(effects: Tensor, salient: float | None) -> Tensor:
    """Interactions above this share of their sample's largest; the others are 0."""
    if salient is None or not effects.numel():
        return effects
    size = effects.abs()
    return torch.where(size > salient * size.amax((-1, -2), keepdim=True), effects, torch.zeros_like(effects))


def halves_of(
    readings: Mapping[str, Interactions],
) -> tuple[dict[str, Interactions], dict[str, Interactions]] | None:
    """Each reading from two disjoint halves of its masks; None where one has none, or too few masks for halves."""
    try:
        both = {name: one.halves for name, one in readings.items() if one.listed is not None}
    except BequeathError:  # half of the masks is too few for the order, or they are not at hand
        return None
    if not readings or len(both) < len(readings):
        return None
    return {name: one[0] for name, one in both.items()}, {name: one[1] for name, one in both.items()}


@dataclass(frozen=True, eq=False)
class Repeats:
    """Readings of several models on the same samples and subsets, each on its scale.

    What is shared is counted across readings: the first of one model with the second of another and the other way
    round, so that what two readings of one set of masks have in common by their errors does not count.

    Attributes
    ----------
    first, second : dict of str to Tensor
        By model, (samples, 2, subsets); `second` is `first` where the models were read once.
    orders : Tensor
        Players of each subset.
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
        """Bring readings to the same subsets and scales; `second`: of the same models, None where there is none."""
        given = {("first", name): one for name, one in first.items()}
        given |= {("second", name): one for name, one in (second or {}).items()}
        aligned = align({" ".join(key): one for key, one in given.items()})
        found: dict[str, dict[str, Tensor]] = {"first": {}, "second": {}}
        for (which, name), one in given.items():
            effects = salient_part(aligned.effects[f"{which} {name}"], salient)
            # A sample that was not read has no v(0), whether or not others have terms.
            effects[one.offset.isnan().reshape(-1)] = torch.nan
            found[which][name] = effects / scale_of(effects, one, normalise)
        return cls(
            found["first"],
            found["first"] if second is None else found["second"],
            aligned.orders,
            aligned.most,
        )

    @property
    def repeated(self) -> bool:
        """Whether there are two readings of each model."""
        return self.second is not self.first

    @property
    def _ways(self) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        both = [(self.first, self.second)]
        return [*both, (self.second, self.first)] if self.repeated else both

    def _sums(self, parts: Sequence[Tensor]) -> Array:
        """Strengths by sample and order, added up."""
        return sum_of([strength(part, self.orders, self.most) for part in parts])

    def _crossed(self, pairs: Pairs, whole: Array, again: Reliabilities) -> Crossed:
        """What the first of each pair has on a sample and the second on another, added up."""
        common = [crossed(a, b, self.orders, self.most) for a, b in pairs]
        each = [crossed(of_strength_one(a), of_strength_one(b), self.orders, self.most) for a, b in pairs]
        return Crossed(sum_of(common), whole, sum_of(each), again)

    def again(self, model: str, twins: Sequence[str] = ()) -> tuple[Array, Array] | None:
        """What a second reading finds again: of the model's twins where there are any, else of the model itself.

        Returns
        -------
        tuple of ndarray, or None
            What is found again, and the strength it is of: (samples, orders) each. None without a second reading.
        """
        if twins:
            pairs = [(x[model], y[twin]) for x, y in self._ways for twin in twins]
        elif self.repeated:
            pairs = [(self.first[model], self.second[model])]
        else:
            return None
        found = self._sums([shared(a, b) for a, b in pairs])
        return 2 * found, self._sums([part for pair in pairs for part in pair])

    def pair(self, a: str, b: str, twins: Mapping[str, Sequence[str]] | None = None) -> Crossed:
        """How much of model a's strength model b has; `twins`: of either, which then make the ceiling."""
        reliabilities = [self.again(model, (twins or {}).get(model, ())) for model in (a, b)]
        return self._crossed(
            [(x[a], y[b]) for x, y in self._ways],
            self._sums([x[a] for x, _ in self._ways]),
            tuple(one for one in reliabilities if one is not None),
        )

    def reversed(self, crossed: Crossed, b: str) -> Crossed:
        """The other way round, from `pair(a, b)`: how much of model b's strength model a has."""
        return replace(
            crossed,
            common=np.swapaxes(crossed.common, 0, 1),
            whole=self._sums([y[b] for _, y in self._ways]),
            each=np.swapaxes(crossed.each, 0, 1),
        )

    def in_common(self, a: str, b: str, c: str, twins: Sequence[str] = ()) -> Crossed:
        """How much of what models a and b share model c has, too; `twins`: of b, in the place of c in the ceiling.

        Without twins, second readings of b and a stand in the place of c, as reliable as c is.
        """
        both = [(torch.sign(x[a]) * shared(x[a], y[b]), x, y) for x, y in self._ways]
        readings = [self.first, self.second] if self.repeated else [self.first]
        whole = len(readings) * self._sums([part for part, *_ in both])
        pairs: Pairs = []
        if twins:
            pairs = [(part, one[twin]) for part, *_ in both for one in readings for twin in twins]
        elif self.repeated:
            pairs = [(part, other) for part, x, y in both for other in (x[b], y[a])]
        again: Reliabilities = ()
        if pairs:
            again = ((self._sums([shared(*pair) for pair in pairs]), max(1, len(twins)) * whole),)
        found = self._crossed([(part, one[c]) for part, *_ in both for one in readings], whole, again)
        # A twin of b is as reliable as b: it stands for c as it is.
        reliabilities = () if twins else [self.again(model) for model in (a, b, c)]
        return replace(found, third=tuple(one for one in reliabilities if one is not None))


@dataclass(frozen=True, eq=False)
class Repeated:
    """Readings of a comparison's models and all second ones that there are.

    Attributes
    ----------
    readings : mapping of str to Interactions
        By role: ``before``, ``after``, perhaps ``control``, ``after twin`` and the like.
    retests : mapping of str to Interactions
        Of the same models on an equivalent game, by role.
    """

    readings: Mapping[str, Interactions]
    retests: Mapping[str, Interactions]
    normalise: Normalise
    salient: float | None

    @cached_property
    def of(self) -> dict[Second, Repeats]:
        """By kind of second reading; twins are read as the models are, across halves where these have them."""
        second, usual = self.usual
        found: dict[Second, Repeats] = {} if second == "once" else {second: usual}
        if self.retests and all(role in self.retests for role in ROLES if role in self.readings):
            first = {role: self.readings[role] for role in self.retests}
            found["retest"] = Repeats.of(first, self.retests, self.normalise, self.salient)
        if any(self._twins.values()):
            found["twin"] = usual
        return found or {second: usual}

    @property
    def seconds(self) -> tuple[Second, ...]:
        """Kinds of second readings that there are."""
        return tuple(self.of)

    @cached_property
    def usual(self) -> tuple[Second, Repeats]:
        """What every model has: two halves of its masks, or else one reading."""
        halves = halves_of(self.readings)
        if halves is None:
            return "once", Repeats.of(self.readings, None, self.normalise, self.salient)
        return "split", Repeats.of(*halves, self.normalise, self.salient)

    @property
    def _twins(self) -> dict[str, list[str]]:
        """Names of each model's twins."""
        return {role: [name for name in self.readings if name.startswith(f"{role} twin")] for role in ROLES}

    def crossed(self, second: Second) -> dict[str, Crossed]:
        """What shares are made of, by name."""
        both, twins = self.of[second], self._twins if second == "twin" else {}
        preserved = both.pair("before", "after", twins)
        found = {"preserved": preserved, "new": both.reversed(preserved, "after")}
        if "control" in self.readings:
            found["relearned"] = both.in_common("before", "after", "control", twins.get("after", ()))
        return found
