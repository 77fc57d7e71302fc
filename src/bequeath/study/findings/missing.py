"""What failed in a run, and the part of it that can still be compared."""

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
# A checkpoint that lacks more than this share of the samples is left out; otherwise the samples are.
_MOST_LACKING = 0.5
# The number of failures that the findings list.
_LISTED = 20


@dataclass(frozen=True)
class Part:
    """The checkpoints and samples of which everything is done, as positions in the store."""

    checkpoints: tuple[int, ...]
    samples: tuple[int, ...]
    missing: dict[str, Any] | None
    """The entry ``missing`` of the findings; None if nothing is missing."""


def comparable_part(store: Store, checkpoints: tuple[Checkpoint, ...], folder: Path) -> Part:
    """Leave out checkpoints that failed on most samples, then samples that a remaining checkpoint lacks.

    A missing retest is listed, but leaves out nothing else.

    Raises
    ------
    IncompleteRun
        If a model's last checkpoint would be left out, or fewer than two samples would remain.
    """
    own = [c for c, checkpoint in enumerate(checkpoints) if not checkpoint.retest]
    done = np.array([store.state("interactions", c) == DONE for c in own])
    has_accuracy = [bool((store.state("accuracy", c) == DONE).all()) for c in own]
    retests = {
        checkpoint.model: lacking
        for c, checkpoint in enumerate(checkpoints)
        if checkpoint.retest
        and (
            lacking := int((store.asked("interactions", c) & (store.state("interactions", c) != DONE)).sum())
        )
    }
    if done.all() and all(has_accuracy) and not retests:
        return Part(tuple(own), tuple(range(done.shape[1])), None)
    failures = read_json(folder / FAILURES_FILE) if (folder / FAILURES_FILE).exists() else []
    reason = f"; the first error: {failures[0]['error']}" if failures else ""
    enough = [
        measured and (~row).mean() <= _MOST_LACKING for measured, row in zip(has_accuracy, done, strict=True)
    ]
    kept = [c for c, is_enough in zip(own, enough, strict=True) if is_enough]
    finals = {checkpoints[c].model: c for c in own}
    for name, final in finals.items():
        if final not in kept:
            raise IncompleteRun(
                f"{folder}: {name} failed on too many samples to be compared ({folder / FAILURES_FILE}){reason}"
            )
    samples = np.flatnonzero(done[enough].all(0)).tolist()
    if len(samples) < _LEAST_SAMPLES:
        raise IncompleteRun(
            f"{folder}: only {len(samples)} samples are done for all models, but at least {_LEAST_SAMPLES} are needed "
            f"({folder / FAILURES_FILE}){reason}"
        )
    names = store.names("sample")
    missing = {
        "interactions": int((~done).sum()),
        "of": int(done.size),
        "checkpoints": [checkpoints[c].label for c in own if c not in kept],
        "samples": [names[s] for s in range(len(names)) if s not in samples],
        "retests": retests,
        "failures": failures[:_LISTED],
    }
    return Part(tuple(kept), tuple(samples), missing)
