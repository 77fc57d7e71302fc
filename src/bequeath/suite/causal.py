"""Fine-tuning from disturbed starts: how preserved share, R and accuracy move together over these runs."""

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
    """Compare one row's fine-tuned models by the disturbance of their start.

    The models before and the controls are the undisturbed ones.

    Parameters
    ----------
    row : Row
    undisturbed : dict
        The pooled findings of the row's undisturbed runs.

    Returns
    -------
    dict or None
        ``starts``: for each disturbance, the estimate of ``accuracy``, the ``preserved`` share, and, with a control,
        the ``relearned`` share R. ``runs``: the same numbers for each seed, and the ``observed`` share.
        ``correlations``: over the runs, without those with a frozen backbone, which are not trained like the others.
        None if nothing was disturbed.
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
    starts |= {start: _selected(**pool_shares(group)) for start, group in row.disturbed.items()}
    return {"starts": starts, "runs": runs, "correlations": correlations([runs])}


def correlations(rows: Sequence[Sequence[Json]]) -> list[Json]:
    """Correlations over the runs of one or several rows.

    Parameters
    ----------
    rows : sequence of sequence of dict
        The ``runs`` of each row. The numbers of a row are standardised by its own mean and standard deviation.

    Returns
    -------
    list of dict
        ``of``, ``with`` and ``correlation``, for each of `PAIRS`.
    """
    rows_of_table = []
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
        rows_of_table.append({"of": first, "with": second, "correlation": estimate.to_dict()})
    return rows_of_table


def _figures(findings: Json) -> Json:
    """Accuracy and shares from the findings of one seed, or from pooled findings."""
    after = findings["models"][findings["roles"]["after"]]
    return _selected(after["accuracy"], findings["knowledge"]["shares"])


def _selected(accuracy: Json, shares: Json) -> Json:
    """Accuracy, the preserved share and, if there is one, R."""
    names = ("preserved", "relearned")
    return {"accuracy": accuracy} | {name: shares[name] for name in names if name in shares}


def _numbers(figures: Json) -> Json:
    """Accuracy, the corrected shares (measurable or not), and the observed preserved share."""
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
