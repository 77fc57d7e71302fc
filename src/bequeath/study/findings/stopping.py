"""What each checkpoint of a run is, beside its held-out accuracy: what is left of the start, what it has added."""

from __future__ import annotations

from bequeath.knowledge.share import Share
from bequeath.knowledge.statistics import mean_estimate
from bequeath.knowledge.stopping import stopping
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain


def along_runs(evidence: Evidence, found: Json) -> Json:
    """Add ``name``, ``accuracy``, ``kept`` and ``added`` to the points of ``dynamics.runs``.

    Returns
    -------
    dict
        ``dynamics.stopping``: of each run with halves of the masks, when what it adds becomes less reliable, and when
        it is most accurate.
    """
    unskilled = found["knowledge"]["not_measurable"]
    stops = {}
    for name, points in found["dynamics"]["runs"].items():
        reasons = [unskilled[one] for one in (evidence.compared["before"], name) if one in unskilled]
        positions, turnover = evidence.of(name), evidence.courses[name].turnover
        kept = [_kept(evidence, position, "; ".join(reasons)) for position in positions]
        correct = [evidence.correct[position] for position in positions]
        stop = None if turnover is None else stopping(turnover, correct)
        for place, (point, position) in enumerate(zip(points, positions, strict=True)):
            point["name"] = evidence.checkpoints[position].name
            point["accuracy"] = plain(mean_estimate(correct[place]))
            point["kept"] = plain(kept[place])
            point["added"] = None
            if stop is not None and place > 0:
                point["added"] = {
                    **plain(stop.added[place - 1]),
                    "less_reliable": plain(stop.falls[place - 1]),
                }
        if stop is not None:
            stops[name] = {"turns": stop.turns, "best": stop.best, "fall": plain(stop.fall)}
    return stops


def _kept(evidence: Evidence, position: int, reason: str) -> Share:
    """Of what can be read of the model before, what a checkpoint has, too; `reason`: why nothing can be read, if so."""
    start = evidence.interactions[evidence.final(evidence.compared["before"])]
    readings = {"before": start, "checkpoint": evidence.interactions[position]}
    return evidence.pairwise(readings, {"before": reason} if reason else {})["before", "checkpoint"]
