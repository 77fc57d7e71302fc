"""The part of findings.json that figures over several runs are pooled from: one number a sample, and back to arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bequeath.knowledge.dynamics import Dynamics
from bequeath.knowledge.ledger import Ledger
from bequeath.knowledge.measures import Measures, Readings
from bequeath.knowledge.regions import MODELS
from bequeath.study.findings.evidence import Evidence

Json = dict[str, Any]

# Digits that are kept: far below what any figure rests on.
_DIGITS = 8


def per_sample(
    evidence: Evidence,
    readings: Readings,
    bounds: Mapping[str, NDArray[np.float64]] | None,
    books: Mapping[str, Ledger],
    runs: Mapping[str, Dynamics],
) -> Json:
    """For JSON; the innermost axis of strengths is the order, that of the dynamics' with all orders first."""
    named = {"strength": readings.measures, "reference": readings.reference, "scaled": readings.scaled}
    return {
        **{
            key: {name: _plain(values) for name, values in measures.by_order.items()}
            for key, measures in named.items()
        },
        "bounds": bounds and {name: _plain(values) for name, values in bounds.items()},
        "ledger": {
            name: {part: _plain(effect) for part, effect in book.parts.items()}
            for name, book in books.items()
        },
        "dynamics": {
            name: {
                "steps": run.steps.tolist(),
                "similarity": _plain(run.similarity),
                "strength": _plain(run.strength),
                "dropped": _plain(run.dropped),
            }
            for name, run in runs.items()
        },
        # Of the accuracy samples, not of those that were taken apart.
        "correct": {
            name: [int(right) for right in evidence.correct[evidence.final(name)]] for name in MODELS
        },
    }


def stacked_readings(seeds: Sequence[Json]) -> Readings:
    """Readings of several seeds, each as `per_sample` keeps them."""
    return Readings(
        *(Measures.stacked([one[key] for one in seeds]) for key in ("strength", "reference", "scaled"))
    )


def course(saved: Json) -> Dynamics:
    """A run's dynamics as `per_sample` keeps them."""
    parts = (torch.tensor(saved[name], dtype=torch.float64) for name in ("similarity", "strength", "dropped"))
    return Dynamics(np.asarray(saved["steps"], dtype=np.int64), *parts)


def _plain(values: ArrayLike) -> Any:
    rounded = np.vectorize(lambda x: float(f"{x:.{_DIGITS}g}"), otypes=[np.float64])
    return rounded(np.asarray(values)).tolist()
