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

    Raises
    ------
    IncompleteRun
        If a model's last checkpoint, or all but one sample, would have to go.
    """
    every = range(len(checkpoints))
    there = np.array([store.state("interactions", checkpoint) == DONE for checkpoint in every])
    counted = [bool((store.state("accuracy", c) == DONE).all()) for c in every]
    if there.all() and all(counted):
        return Part(tuple(every), tuple(range(there.shape[1])), None)
    failures = read_json(folder / FAILURES_FILE) if (folder / FAILURES_FILE).exists() else []
    why = f"; the first error: {failures[0]['error']}" if failures else ""
    kept = [c for c, row in enumerate(there) if counted[c] and (~row).mean() <= _MOST_LACKING]
    finals = {checkpoint.model: place for place, checkpoint in enumerate(checkpoints)}
    for name, final in finals.items():
        if final not in kept:
            raise IncompleteRun(
                f"{folder}: {name} failed on too many samples to be compared ({folder / FAILURES_FILE}){why}"
            )
    samples = np.flatnonzero(there[kept].all(0)).tolist()
    if len(samples) < _LEAST_SAMPLES:
        raise IncompleteRun(
            f"{folder}: {len(samples)} samples came through in all models ({folder / FAILURES_FILE}){why}"
        )
    names = store.names("sample")
    missing = {
        "interactions": int((~there).sum()),
        "of": int(there.size),
        "checkpoints": [checkpoints[c].label for c in every if c not in kept],
        "samples": [names[s] for s in range(len(names)) if s not in samples],
        "failures": failures[:_TOLD],
    }
    return Part(tuple(kept), tuple(samples), missing)
