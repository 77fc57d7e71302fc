"""Calibrated shares of all pairs of several models."""

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
    """The share s(A, B) of model A's strength that model B has too, for all ordered pairs of models.

    Source: docs/method.md, section "Measures with a zero and a one".

    Parameters
    ----------
    readings : mapping of str to Interactions
        Readings of the models by name, of the same samples and players.
    normalise, salient, labels, not_measurable
        As for `bequeath.compare`.

    Returns
    -------
    dict of (str, str) to Share
        By the names of A and B.
    """
    repeated = Repeated(readings, {}, normalise, salient)
    second, repeats = repeated.usual
    reasons = not_measurable or {}
    classes = None if labels is None else np.asarray(labels)
    shares: dict[tuple[str, str], Share] = {}

    def calibrated_share(crossed: Crossed, pair: tuple[str, str]) -> Share:
        share = calibrated(crossed.over_all(), classes, second)[0]
        known = [reasons[name] for name in pair if name in reasons]
        return replace(share, reason="; ".join(known) or share.reason)

    for a, b in combinations(readings, 2):
        crossed = repeats.pair(a, b)
        shares[a, b] = calibrated_share(crossed, (a, b))
        shares[b, a] = calibrated_share(repeats.reversed(crossed, b), (b, a))
    return shares
