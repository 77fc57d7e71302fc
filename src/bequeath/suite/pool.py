"""Pools the runs of several seeds of one study: estimates over samples and seeds, and verdicts from them."""

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
    """Pool the finished runs of one study's seeds.

    Parameters
    ----------
    runs : sequence of Run
        Runs that differ only in the seed of training.

    Returns
    -------
    dict
        ``rows[].pooled`` of results.json (docs/findings.md). Estimates are over samples and seeds.

    Raises
    ------
    BequeathError
        If there are no runs, or their models, samples, players or checkpoints differ.
    """
    evidence = _comparable([run.evidence() for run in runs])
    known = Known.stacked([seed.known_beside(others) for seed, others in _with_others(evidence)])
    documents = [run.findings for run in runs]
    first = documents[0]
    raw = known.readings.others.get("raw", known.readings.strengths)
    pooled = findings_of(known)
    pooled["knowledge"] |= {
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
        **pooled,
        "regions": _regions(known),
        "warnings": alarms(documents),
    }


def pool_shares(runs: Sequence[Run]) -> Json:
    """Pool only ``accuracy`` of the model after and ``shares``, which is faster than `pool`."""
    evidence = _comparable([run.evidence() for run in runs])
    names = evidence[0].compared
    strengths = Strengths.stacked(
        [seed.with_seconds(others).strengths for seed, others in _with_others(evidence)]
    )
    correct = {
        role: np.stack([seed.correct[seed.final(name)] for seed in evidence]) for role, name in names.items()
    }
    reasons = not_measurable({names[role]: values for role, values in correct.items()}, evidence[0].majority)
    by_role = {role: reasons[name] for role, name in names.items() if name in reasons}
    return {
        "accuracy": plain(mean_estimate(correct["after"])),
        "shares": shares(replace(strengths, not_measurable=by_role)),
    }


def _comparable(evidence: list[Evidence]) -> list[Evidence]:
    """Refuse evidence of seeds whose models or samples differ."""
    if not evidence:
        raise BequeathError("seeds: none given; give finished runs")
    first = evidence[0]
    if any(seed.compared != first.compared for seed in evidence):
        raise BequeathError("seeds: their runs compare different models or roles; give runs of one study")
    if any(seed.samples != first.samples for seed in evidence):
        raise BequeathError("seeds: their runs have different samples; give runs on the same samples")
    return evidence


def _with_others(evidence: Sequence[Evidence]) -> list[tuple[Evidence, list[Evidence]]]:
    """Each seed's evidence, with that of the other seeds."""
    return [(seed, [other for other in evidence if other is not seed]) for seed in evidence]


def _regions(known: Known) -> list[Json]:
    """The signed effect of each region in the models that share it."""
    effects: dict[tuple[str, ...], Json] = {}
    for role, ledger in known.ledgers.items():
        for region, effect in ledger.parts.items():
            effects.setdefault(region, {})[role] = plain(mean_estimate(effect))
    ordered = sorted(
        effects, key=lambda region: (len(region), [list(known.ledgers).index(role) for role in region])
    )
    return [{"models": list(region), "effect": effects[region]} for region in ordered]


def alarms(documents: Sequence[Json]) -> list[str]:
    """The seeds' warnings, without those that every run has. If not all seeds have a warning, it says how many do."""
    usual = ("The split into AND and OR", "One training run per model")
    counts = Counter(
        text for document in documents for text in document["warnings"] if not text.startswith(usual)
    )
    return [
        text if count == len(documents) else f"{text} (In {count} of {len(documents)} seeds.)"
        for text, count in sorted(counts.items())
    ]
