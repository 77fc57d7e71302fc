"""What moves with what is preserved: fine-tuning from disturbed starts, and correlations over those runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bequeath.knowledge.statistics import correlation
from bequeath.suite.pool import pool_shares
from bequeath.suite.rows import Row

Json = dict[str, Any]

UNDISTURBED = "none"
PAIRS = (
    ("preserved", "accuracy"),
    ("observed", "accuracy"),
    ("relearned", "accuracy"),
    ("preserved", "relearned"),
)


def disturbances(row: Row, undisturbed: Json) -> Json | None:
    """One row's fine-tuned models by the disturbance of their start, and how their figures move together.

    The models before and the controls are the undisturbed ones, whose pooled findings are `undisturbed`.

    Returns
    -------
    dict or None
        ``starts``: by disturbance, estimate of ``accuracy``, ``preserved`` share, and, with a control, ``relearned``
        share R; ``runs``: the same of each seed, as plain numbers, and what is ``observed``; ``correlations`` over the
        runs, those with a frozen backbone left out: they are not trained as the others. None where nothing
        was disturbed.
    """
    if not row.disturbed:
        return None
    groups = {UNDISTURBED: row.seeds, **row.disturbed}
    runs = [
        {"start": start, "seed": seed, **_numbers(_figures(run.findings))}
        for start, group in groups.items()
        for seed, run in enumerate(group)
    ]
    starts = {UNDISTURBED: _figures(undisturbed)}
    starts |= {start: _of_shares(**pool_shares(group)) for start, group in row.disturbed.items()}
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
    after = findings["models"][findings["roles"]["after"]]
    return _of_shares(after["accuracy"], findings["knowledge"]["shares"])


def _of_shares(accuracy: Json, shares: Json) -> Json:
    found = {"accuracy": accuracy, "preserved": shares["preserved"]}
    return found | ({"relearned": shares["relearned"]} if "relearned" in shares else {})


def _numbers(figures: Json) -> Json:
    """Accuracy and corrected shares, measurable or not, and what is observed of the preserved one."""
    corrected = {name: figures[name]["corrected"] for name in figures if name != "accuracy"}
    return {
        "accuracy": figures["accuracy"]["mean"],
        **corrected,
        "observed": figures["preserved"]["observed"],
    }


def _standard(values: Sequence[float]) -> Any:
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return array
    spread = array.std()
    return (array - array.mean()) / (spread if spread > 0 else 1.0)
