"""Evaluations for the same width of the preserved share's interval (called by benchmarks/sparse.py width).

Exact reading of games of 9 players from all 512 masks against sparse readings of the same models' games of 16 players
from K masks: `compare(before=P, after=F0).share("preserved")` over the same number of samples. It reports the width of
its 95% interval, and that width relative to the share above chance (observed - floor). Needs ../shared/reference.
"""

from __future__ import annotations

import numpy as np
import torch
from measure import REFERENCE

import bequeath as bq

EXACT = 512


def width(numbers: list[int], samples: int = 8) -> None:
    """The exact reading, then the sparse ones, and the smallest K whose width is no larger."""
    data = np.load(REFERENCE / "hymenoptera_n9.npz")
    tables = {name: data[name][:samples].astype(np.float64) for name in ("P", "F0")}
    exact = bq.compare(before=_exact(tables["P"]), after=_exact(tables["F0"])).share("preserved")
    limit = _row(f"exact, n = 9, {EXACT} masks", exact, EXACT)
    data = np.load(REFERENCE / "hymenoptera_n16.npz")
    reached: dict[str, int] = {}
    for number in numbers:
        readings = [
            bq.fit(data["masks"][:number], data[name][:samples, :number].astype(np.float64), resamples=0)
            for name in ("P", "F0")
        ]
        share = bq.compare(before=readings[0], after=readings[1]).share("preserved")
        found = _row(f"sparse, n = 16, {number} masks", share, number)
        for what, value in found.items():
            if value <= limit[what]:
                reached.setdefault(what, number)
    for what in limit:
        if what in reached:
            print(f"{what}: no larger from {reached[what]} masks on: {reached[what] / EXACT:.2f} of {EXACT}")
        else:
            print(f"{what}: larger at every number of masks that was tried")


def _exact(tables: np.ndarray) -> bq.Interactions:
    return bq.decompose(torch.from_numpy(tables), "and-or")


def _row(name: str, share: bq.Share, number: int) -> dict[str, float]:
    assert share.floor is not None
    wide, above = share.observed_high - share.observed_low, share.observed - share.floor
    print(
        f"{name}: preserved {share.observed:.3f} [{share.observed_low:.3f}, {share.observed_high:.3f}], "
        f"floor {share.floor:.3f}; width {wide:.3f}, {wide / above:.2f} of what is above the floor",
        flush=True,
    )
    return {"width": wide, "width / (observed - floor)": wide / above}
