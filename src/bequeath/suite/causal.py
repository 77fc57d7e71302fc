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
    ("raw", "accuracy"),
    ("relearned", "accuracy"),
    ("preserved", "relearned"),
)


def disturbances(row: Row, undisturbed: Json) -> Json | None:
    """One row's fine-tuned models by the disturbance of their start, and how their figures move together.

    The models before and the controls are the undisturbed ones, whose pooled findings are `undisturbed`.

    Returns
    -------
    dict or None
        ``starts``: by disturbance, estimate of ``accuracy``, ``preserved`` share, the same in ``raw`` units, and, with
        a control, ``relearned`` share R; ``runs``: the same of each seed, as plain numbers; ``correlations``
        over the runs, those with a frozen backbone left out: they are not trained as the others. None where nothing
        was disturbed.
    """
    if not row.disturbed:
        return None
    groups = {UNDISTURBED: row.seeds, **row.disturbed}
    runs = [
        {"start": start, "seed": seed} | {name: _mean(e) for name, e in _figures(run.findings).items()}
        for start, group in groups.items()
        for seed, run in enumerate(group)
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
                run
                for run in runs
                if run["start"] != "frozen" and None not in (run.get(first), run.get(second))
            ]
            x.append(_standard([run[first] for run in trained]))
            y.append(_standard([run[second] for run in trained]))
        estimate = correlation(np.concatenate(x), np.concatenate(y))
        found.append({"of": first, "with": second, "correlation": estimate.to_dict()})
    return found


def _figures(findings: Json) -> Json:
    """Estimates and shares from findings of one seed, or of several pooled."""
    knowledge, after = findings["knowledge"], findings["roles"]["after"]
    figures = {
        "accuracy": findings["models"][after]["accuracy"],
        "preserved": knowledge["shares"]["preserved"],
        "raw": knowledge["raw"]["preserved"],
    }
    if "relearned" in knowledge["shares"]:
        figures["relearned"] = knowledge["shares"]["relearned"]
    return figures


def _mean(figure: Json) -> float | None:
    mean: float | None = figure["observed"] if "observed" in figure else figure["mean"]
    return mean


def _standard(values: Sequence[float]) -> Any:
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return array
    spread = array.std()
    return (array - array.mean()) / (spread if spread > 0 else 1.0)
