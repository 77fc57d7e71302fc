"""Every two of several models: how much of the one the other has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from bequeath.knowledge.crossings import Crossed
from bequeath.knowledge.repeats import Normalise, Repeated
from bequeath.knowledge.share import Share
from bequeath.knowledge.shares import calibrated
from bequeath.lattice.interactions import Interactions


def pairwise(
    readings: Mapping[str, Interactions],
    *,
    normalise: Normalise = "l1",
    salient: float | None = None,
    labels: Sequence[int] | None = None,
    not_measurable: Mapping[str, str] | None = None,
) -> dict[tuple[str, str], Share]:
    """s(A, B) of all ordered pairs of models, from its zero to its one; arguments as of `bequeath.compare`."""
    repeated = Repeated(readings, {}, normalise, salient)
    second, both = repeated.usual
    reasons = not_measurable or {}
    classes = None if labels is None else np.asarray(labels)
    found: dict[tuple[str, str], Share] = {}

    def share(crossed: Crossed, pair: tuple[str, str]) -> Share:
        one = calibrated(crossed.over_all(), classes, second)[0]
        known = [reasons[name] for name in pair if name in reasons]
        return replace(one, reason="; ".join(known) or one.reason)

    for a, b in combinations(readings, 2):
        crossed = both.pair(a, b)
        found[a, b] = share(crossed, (a, b))
        found[b, a] = share(both.reversed(crossed, b), (b, a))
    return found
