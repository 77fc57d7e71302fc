"""What moves with what is preserved: fine-tuning from disturbed starts, and correlations over those runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bequeath.knowledge.statistics import correlation
from bequeath.suite.pool import pool
from bequeath.suite.rows import Row

Json = dict[str, Any]

UNDISTURBED = "none"
PAIRS = (
    ("preserved", "accuracy"),
    ("scaled", "accuracy"),
    ("relearned", "accuracy"),
    ("preserved", "relearned"),
)


def disturbances(row: Row, undisturbed: Json) -> Json | None:
    """One row's fine-tuned models by the disturbance of their start, and how their figures move together.

    The pre-trained and the scratch model they are compared with are the undisturbed ones, whose pooled findings are
    `undisturbed`.

    Returns
    -------
    dict or None
        ``starts``: by disturbance, estimates of ``accuracy``, ``preserved`` share, the same ``scaled`` to each model's
        own strength, and ``relearned`` share R; ``runs``: the same of each seed, as plain numbers; ``correlations``
        over the runs, those with a frozen backbone left out: they are not trained as the others. None where nothing
        was disturbed.
    """
    if not row.disturbed:
        return None
    groups = {UNDISTURBED: row.seeds, **row.disturbed}
    runs = [
        {"start": start, "seed": seed} | {name: e["mean"] for name, e in _figures(findings).items()}
        for start, group in groups.items()
        for seed, findings in enumerate(group)
    ]
    pooled = {UNDISTURBED: undisturbed} | {start: pool(group) for start, group in row.disturbed.items()}
    starts = {start: _figures(together) for start, together in pooled.items()}
    return {"starts": starts, "runs": runs, "correlations": correlations([runs])}


def correlations(rows: Sequence[Sequence[Json]]) -> list[Json]:
    """Correlations over the runs of one row, or of several, each row taken relative to its own mean and spread."""
    found = []
    for first, second in PAIRS:
        x, y = [], []
        for runs in rows:
            trained = [
                run for run in runs if run["start"] != "frozen" and None not in (run[first], run[second])
            ]
            x.append(_standard([run[first] for run in trained]))
            y.append(_standard([run[second] for run in trained]))
        estimate = correlation(np.concatenate(x), np.concatenate(y))
        found.append({"of": first, "with": second, "correlation": estimate.to_dict()})
    return found


def _figures(findings: Json) -> Json:
    """Estimates from findings of one seed, or of several pooled."""
    knowledge = findings["knowledge"]
    return {
        "accuracy": findings["models"]["finetuned"]["accuracy"],
        "preserved": knowledge["shares"]["preserved"],
        "scaled": knowledge["scaled"]["shares"]["preserved"],
        "relearned": knowledge["shares"]["relearned"],
    }


def _standard(values: Sequence[float]) -> Any:
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return array
    spread = array.std()
    return (array - array.mean()) / (spread if spread > 0 else 1.0)
