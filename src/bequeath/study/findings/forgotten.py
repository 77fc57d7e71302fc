"""The samples that the model after got wrong and the model before had right, and the other way round."""

from __future__ import annotations

from bequeath.knowledge.forgetting import Flips, again, flips, flips_by_class
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.plan import Plan


def forgotten(evidence: Evidence, inputs: StudyInputs, plan: Plan) -> Json:
    """Flips between the models before and after over all accuracy samples, by class, with the samples' ids."""
    right = {name: evidence.correct[evidence.final(name)] for name in evidence.models}
    before, after = (right[evidence.compared[role]] for role in ("before", "after"))
    labels = [inputs.data.labels[i] for i in plan.accuracy_samples]
    twins = {name: again(before, after, right[name]) for name in evidence.config.roles.twins.get("after", ())}
    flipped = [place for place in range(len(before)) if before[place] != after[place]]
    read = set(evidence.samples)
    samples = []
    for place in flipped:
        sample = inputs.data[plan.accuracy_samples[place]]
        samples.append(
            {
                "sample": sample.id,
                "class": inputs.classes[sample.label],
                "flip": "forgotten" if before[place] else "learned",
                "read": sample.id in read,
            }
        )
    return {
        **_counts(flips(before, after)),
        "by_class": [
            {"class": inputs.classes[label], **_counts(one)}
            for label, one in flips_by_class(before, after, labels).items()
        ],
        "again": [{"twin": name, "forgotten": lost, "learned": won} for name, (lost, won) in twins.items()],
        "samples": sorted(
            samples, key=lambda one: (one["flip"], inputs.classes.index(one["class"]), one["sample"])
        ),
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
