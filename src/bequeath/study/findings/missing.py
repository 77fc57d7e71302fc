"""What of a run failed, and the part of it that can be compared all the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bequeath.errors import IncompleteRun
from bequeath.study.loading.plan import Checkpoint
from bequeath.study.store.folder import read_json
from bequeath.study.store.store import DONE, Store

FAILURES_FILE = "failures.json"
_LEAST_SAMPLES = 2
# A checkpoint that lacks more than this share of the samples goes, rather than the samples.
_MOST_LACKING = 0.5
_TOLD = 20


@dataclass(frozen=True)
class Part:
    """The checkpoints and samples that are there on all sides, as positions in the store."""

    checkpoints: tuple[int, ...]
    samples: tuple[int, ...]
    missing: dict[str, Any] | None
    """As told in the findings; None where nothing is missing."""


def comparable_part(store: Store, checkpoints: tuple[Checkpoint, ...], folder: Path) -> Part:
    """Leave out checkpoints that failed on most samples, then samples that any checkpoint left lacks.

    Retests are no part of it: one that is missing is told, and takes nothing else with it.

    Raises
    ------
    IncompleteRun
        If a model's last checkpoint, or all but one sample, would have to go.
    """
    own = [c for c, checkpoint in enumerate(checkpoints) if not checkpoint.retest]
    there = np.array([store.state("interactions", c) == DONE for c in own])
    counted = [bool((store.state("accuracy", c) == DONE).all()) for c in own]
    retests = {
        checkpoint.model: lacking
        for c, checkpoint in enumerate(checkpoints)
        if checkpoint.retest
        and (
            lacking := int((store.asked("interactions", c) & (store.state("interactions", c) != DONE)).sum())
        )
    }
    if there.all() and all(counted) and not retests:
        return Part(tuple(own), tuple(range(there.shape[1])), None)
    failures = read_json(folder / FAILURES_FILE) if (folder / FAILURES_FILE).exists() else []
    why = f"; the first error: {failures[0]['error']}" if failures else ""
    enough = [ok and (~row).mean() <= _MOST_LACKING for ok, row in zip(counted, there, strict=True)]
    kept = [c for c, one in zip(own, enough, strict=True) if one]
    finals = {checkpoints[c].model: c for c in own}
    for name, final in finals.items():
        if final not in kept:
            raise IncompleteRun(
                f"{folder}: {name} failed on too many samples to be compared ({folder / FAILURES_FILE}){why}"
            )
    samples = np.flatnonzero(there[enough].all(0)).tolist()
    if len(samples) < _LEAST_SAMPLES:
        raise IncompleteRun(
            f"{folder}: {len(samples)} samples came through in all models ({folder / FAILURES_FILE}){why}"
        )
    names = store.names("sample")
    missing = {
        "interactions": int((~there).sum()),
        "of": int(there.size),
        "checkpoints": [checkpoints[c].label for c in own if c not in kept],
        "samples": [names[s] for s in range(len(names)) if s not in samples],
        "retests": retests,
        "failures": failures[:_TOLD],
    }
    return Part(tuple(kept), tuple(samples), missing)
