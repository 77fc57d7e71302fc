"""The samples that the model after got wrong and the model before had right, and the other way round, and why."""

from __future__ import annotations

from bequeath.knowledge.forgetting import Flips, flips, flips_by_class, flips_in_twin
from bequeath.study.findings.changes import changes
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan


def forgotten(evidence: Evidence, parts: StudyParts, plan: Plan, hidden: Json) -> Json:
    """Flips between the models before and after over all accuracy samples, by class, with the samples' ids.

    Of the flipped samples that were read: which interactions changed the output, and what hiding their players did
    (`hidden` is from `bequeath.study.hidden.hide`).
    """
    data, classes = parts.inputs.data, parts.inputs.classes
    before, after = evidence.answers("before"), evidence.answers("after")
    ids = [data.ids[i] for i in plan.accuracy_samples]
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
        key=lambda one: (one["change"] is None, one["flip"], classes.index(one["class"]), one["sample"])
    )
    return {
        **_counts(flips(before, after)),
        "by_class": [
            {"class": classes[label], **_counts(one)}
            for label, one in flips_by_class(before, after, labels).items()
        ],
        "again": [{"twin": name, "forgotten": lost, "learned": won} for name, (lost, won) in twins.items()],
        "check": check,
        "samples": samples,
    }


def _counts(one: Flips) -> Json:
    return {
        "n": one.n,
        "both": one.both,
        "forgotten": one.forgotten,
        "learned": one.learned,
        "neither": one.neither,
        "change": plain(one.change),
        "p": one.p,
    }
