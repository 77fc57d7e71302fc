"""What of a run failed, and the part of it that can be compared all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bequeath.errors import IncompleteRun
from bequeath.knowledge.regions import MODELS
from bequeath.study.folder import read_json
from bequeath.study.plan import Plan
from bequeath.study.store.store import DONE, Store

FAILURES_FILE = "failures.json"
_LEAST_SAMPLES = 2
# A checkpoint that lacks more than this share of the samples goes, rather than the samples.
_MOST_LACKING = 0.5
_TOLD = 20


@dataclass(frozen=True)
class Part:
    """The checkpoints and samples that are there on all sides."""

    plan: Plan
    checkpoints: tuple[int, ...]
    """Positions in the store."""
    samples: tuple[int, ...]
    missing: dict[str, Any] | None
    """As told in the findings; None where nothing is missing."""


def comparable_part(store: Store, plan: Plan, folder: Path) -> Part:
    """Leave out checkpoints that failed on most samples, then samples that any checkpoint left lacks.

    Raises
    ------
    IncompleteRun
        If a model's last checkpoint, or all but one sample, would have to go.
    """
    there = np.array(
        [store.state("interactions", checkpoint) == DONE for checkpoint in range(len(plan.checkpoints))]
    )
    counted = [bool((store.state("accuracy", c) == DONE).all()) for c in range(len(plan.checkpoints))]
    if there.all() and all(counted):
        every = tuple(range(len(plan.checkpoints)))
        return Part(plan, every, tuple(range(len(plan.samples))), None)
    failures = read_json(folder / FAILURES_FILE) if (folder / FAILURES_FILE).exists() else []
    why = f"; the first error: {failures[0]['error']}" if failures else ""
    kept = [c for c, row in enumerate(there) if counted[c] and (~row).mean() <= _MOST_LACKING]
    for name in MODELS:
        if plan.of(name)[-1] not in kept:
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
        "checkpoints": [plan.checkpoints[c].label for c in range(len(there)) if c not in kept],
        "samples": [names[s] for s in range(len(names)) if s not in samples],
        "failures": failures[:_TOLD],
    }
    part = replace(
        plan,
        checkpoints=tuple(plan.checkpoints[c] for c in kept),
        samples=tuple(plan.samples[s] for s in samples),
    )
    return Part(part, tuple(kept), tuple(samples), missing)
