"""For each checkpoint of a training run: its accuracy, what it keeps of the model before, and what it has added."""

from __future__ import annotations

from bequeath.knowledge.share import Share
from bequeath.knowledge.statistics import mean_estimate
from bequeath.knowledge.stopping import stopping
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain


def along_runs(evidence: Evidence, measured: Json) -> Json:
    """Add ``name``, ``accuracy``, ``kept`` and ``added`` to the points of ``dynamics.runs``.

    Parameters
    ----------
    evidence : Evidence
    measured : dict
        The findings so far, with ``knowledge`` and ``dynamics``; the points are changed in place.

    Returns
    -------
    dict
        The entry ``dynamics.stopping``: for each run with readings from halves of the masks, when what it adds becomes
        less reliable, and when it is most accurate.
    """
    unskilled = measured["knowledge"]["not_measurable"]
    stops = {}
    for name, points in measured["dynamics"]["runs"].items():
        reasons = [unskilled[model] for model in (evidence.compared["before"], name) if model in unskilled]
        positions, turnover = evidence.of(name), evidence.courses[name].turnover
        kept = [_kept(evidence, position, "; ".join(reasons)) for position in positions]
        correct = [evidence.correct[position] for position in positions]
        stop = None if turnover is None else stopping(turnover, correct)
        for i, (point, position) in enumerate(zip(points, positions, strict=True)):
            point["name"] = evidence.checkpoints[position].name
            point["accuracy"] = plain(mean_estimate(correct[i]))
            point["kept"] = plain(kept[i])
            point["added"] = None
            if stop is not None and i > 0:
                point["added"] = {
                    **plain(stop.added[i - 1]),
                    "less_reliable": plain(stop.falls[i - 1]),
                }
        if stop is not None:
            stops[name] = {"turns": stop.turns, "best": stop.best, "fall": plain(stop.fall)}
    return stops


def _kept(evidence: Evidence, position: int, reason: str) -> Share:
    """The share of the model before's interactions that a checkpoint preserves.

    `reason` says why it is not measurable; it is empty if it is.
    """
    start = evidence.interactions[evidence.final(evidence.compared["before"])]
    readings = {"before": start, "checkpoint": evidence.interactions[position]}
    return evidence.pairwise(readings, {"before": reason} if reason else {})["before", "checkpoint"]
