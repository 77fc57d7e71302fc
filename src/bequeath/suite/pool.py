"""Runs of several seeds of one study as one: figures over samples and seeds, and the verdicts that they bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bequeath.knowledge.statistics import mean_estimate
from bequeath.study.findings.known import Known, findings_of
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
    evidence = [run.evidence() for run in runs]
    beside = [[other for other in evidence if other is not one] for one in evidence]
    known = Known.stacked([one.known_beside(others) for one, others in zip(evidence, beside, strict=True)])
    documents = [run.findings for run in runs]
    first = documents[0]
    raw = known.readings.others.get("raw", known.readings.strengths)
    found = findings_of(known)
    found["knowledge"] |= {
        "strength": {role: plain(mean_estimate(raw.total(role))) for role in known.names},
    }
    return {
        "study": {**first["study"], "seeds": len(runs)},
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
