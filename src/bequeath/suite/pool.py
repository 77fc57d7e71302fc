"""Runs of several seeds of one study as one: figures over samples and seeds, and the verdicts that they bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bequeath.errors import BequeathError
from bequeath.knowledge.shares import Strengths
from bequeath.knowledge.statistics import mean_estimate
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.known import Known, findings_of, not_measurable, shares
from bequeath.study.findings.plain import plain
from bequeath.study.run import Run

Json = dict[str, Any]


def pool(runs: Sequence[Run]) -> Json:
    """Finished runs of one study's seeds, pooled.

    Parameters
    ----------
    runs : sequence of Run
        They differ in the seed of training alone.

    Returns
    -------
    dict
        ``rows[].pooled`` of results.json (docs/findings.md); estimates are over samples and seeds.

    Raises
    ------
    BequeathError
        If there are none, or they are not of the same models, samples, players and checkpoints.
    """
    evidence = _alike([run.evidence() for run in runs])
    known = Known.stacked([one.known_beside(others) for one, others in _with_others(evidence)])
    documents = [run.findings for run in runs]
    first = documents[0]
    raw = known.readings.others.get("raw", known.readings.strengths)
    found = findings_of(known)
    found["knowledge"] |= {
        "strength": {role: plain(mean_estimate(raw.total(role))) for role in known.names},
    }
    return {
        "study": {
            **first["study"],
            "seeds": len(runs),
            "majority": known.majority,
            "masks": None if first["masks"] is None else first["masks"]["number"],
        },
        "roles": first["roles"],
        "models": {
            name: {
                "role": first["models"][name]["role"],
                "source": first["models"][name]["source"],
                "accuracy": plain(mean_estimate(correct)),
            }
            for name, correct in known.correct.items()
        },
        **found,
        "regions": _regions(known),
        "warnings": alarms(documents),
    }


def pool_shares(runs: Sequence[Run]) -> Json:
    """``accuracy`` of the model after, and ``shares``, of several seeds' runs; without what takes longer."""
    evidence = _alike([run.evidence() for run in runs])
    names = evidence[0].compared
    strengths = Strengths.stacked(
        [one.with_seconds(others).strengths for one, others in _with_others(evidence)]
    )
    correct = {
        role: np.stack([one.correct[one.final(name)] for one in evidence]) for role, name in names.items()
    }
    reasons = not_measurable({names[role]: values for role, values in correct.items()}, evidence[0].majority)
    by_role = {role: reasons[name] for role, name in names.items() if name in reasons}
    return {
        "accuracy": plain(mean_estimate(correct["after"])),
        "shares": shares(replace(strengths, not_measurable=by_role)),
    }


def _alike(evidence: list[Evidence]) -> list[Evidence]:
    """Several seeds' evidence, of the same models on the same samples."""
    if not evidence:
        raise BequeathError("seeds: none given")
    first = evidence[0]
    if any(one.compared != first.compared for one in evidence):
        raise BequeathError("seeds: runs of other models or roles; all need the same")
    if any(one.samples != first.samples for one in evidence):
        raise BequeathError("seeds: runs on other samples; all need the same")
    return evidence


def _with_others(evidence: Sequence[Evidence]) -> list[tuple[Evidence, list[Evidence]]]:
    """Each seed's evidence, and that of the other seeds."""
    return [(one, [other for other in evidence if other is not one]) for one in evidence]


def _regions(known: Known) -> list[Json]:
    """Each region's signed effect in the models that have it."""
    effects: dict[tuple[str, ...], Json] = {}
    for role, book in known.books.items():
        for region, effect in book.parts.items():
            effects.setdefault(region, {})[role] = plain(mean_estimate(effect))
    ordered = sorted(
        effects, key=lambda region: (len(region), [list(known.books).index(role) for role in region])
    )
    return [{"models": list(region), "effect": effects[region]} for region in ordered]


def alarms(documents: Sequence[Json]) -> list[str]:
    """The seeds' warnings, but for those that every single run has; and in how many of them, where not in all."""
    usual = ("The split into AND and OR", "One training run per model")
    counts = Counter(text for one in documents for text in one["warnings"] if not text.startswith(usual))
    return [
        text if count == len(documents) else f"{text} (In {count} of {len(documents)} seeds.)"
        for text, count in sorted(counts.items())
    ]
