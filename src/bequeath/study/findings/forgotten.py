"""Flipped samples: those that one of the models before and after has right and the other wrong, and why."""

from __future__ import annotations

from bequeath.knowledge.forgetting import Flips, flips, flips_by_class, flips_in_twin
from bequeath.study.findings.changes import changes, tested_ids
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan


def forgotten(evidence: Evidence, parts: StudyParts, plan: Plan, hidden: Json) -> Json:
    """The entry ``forgotten``: flips over all accuracy samples, by class, and the flipped samples.

    For flipped samples that were read, it also lists the interactions that changed the output, and the effect of
    hiding their players.

    Parameters
    ----------
    evidence : Evidence
    parts : StudyParts
    plan : Plan
    hidden : dict
        From `bequeath.study.hidden.hide`.
    """
    data, classes = parts.inputs.data, parts.inputs.classes
    before, after = evidence.answers("before"), evidence.answers("after")
    ids = tested_ids(parts, plan)
    labels = [data.labels[i] for i in plan.accuracy_samples]
    twins = {
        name: flips_in_twin(before, after, evidence.correct[evidence.final(name)])
        for name in evidence.config.roles.twins.get("after", ())
    }
    changed, check = changes(evidence, ids, hidden)
    samples: list[Json] = [
        {
            "sample": name,
            "class": classes[label],
            "flip": "forgotten" if was else "learned",
            "change": changed.get(name),
        }
        for name, label, was, now in zip(ids, labels, before, after, strict=True)
        if was != now
    ]
    samples.sort(
        key=lambda entry: (
            entry["change"] is None,
            entry["flip"],
            classes.index(entry["class"]),
            entry["sample"],
        )
    )
    return {
        **_counts(flips(before, after)),
        "by_class": [
            {"class": classes[label], **_counts(of_class)}
            for label, of_class in flips_by_class(before, after, labels).items()
        ],
        "again": [{"twin": name, "forgotten": lost, "learned": won} for name, (lost, won) in twins.items()],
        "check": check,
        "samples": samples,
    }


def _counts(counted: Flips) -> Json:
    return {
        "n": counted.n,
        "both": counted.both,
        "forgotten": counted.forgotten,
        "learned": counted.learned,
        "neither": counted.neither,
        "change": plain(counted.change),
        "p": counted.p,
    }
