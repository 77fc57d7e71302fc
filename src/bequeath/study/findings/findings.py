"""Makes the findings of a run from its evidence (format: docs/findings.md)."""

from __future__ import annotations

from typing import Any

from bequeath.knowledge import faithfulness
from bequeath.knowledge.statistics import mean_estimate
from bequeath.knowledge.summaries import order_rows, region_rows
from bequeath.study.findings import describe
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.forgotten import forgotten
from bequeath.study.findings.known import findings_of
from bequeath.study.findings.plain import Json, plain
from bequeath.study.findings.samples import samples
from bequeath.study.findings.stopping import along_runs
from bequeath.study.findings.summary import summary
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan

SCHEMA = "bequeath.findings/7"


def build_findings(evidence: Evidence, parts: StudyParts, plan: Plan, meaning: Json, hidden: Json) -> Json:
    """Make the findings of a run, ready for JSON, without the times of its stages.

    Parameters
    ----------
    evidence : Evidence
        What is compared.
    parts : StudyParts
        The study's data and games, for words and pictures.
    plan : Plan
        Of the run.
    meaning : dict
        From `bequeath.study.meaning.understand`.
    hidden : dict
        From `bequeath.study.hidden.hide`.
    """
    measured = findings_of(evidence.known)
    measured["knowledge"] |= {
        "pairs": [
            {"first": first, "second_model": second, **plain(share)}
            for (first, second), share in evidence.pairs(measured["knowledge"]["not_measurable"]).items()
        ],
        "by_order": plain(order_rows(evidence.comparison)),
    }
    if measured["dynamics"]:
        measured["dynamics"]["stopping"] = along_runs(evidence, measured)
    findings: Json = {
        "schema": SCHEMA,
        "study": describe.study(evidence, parts),
        "roles": evidence.config.roles.model_dump(mode="json"),
        "models": describe.models(evidence, meaning["outputs"]),
        **measured,
        "forgotten": forgotten(evidence, parts, plan, hidden),
        "regions": plain(region_rows(evidence.comparison)),
        "ledger_error": None
        if evidence.shown is not None
        else max(ledger.error for ledger in evidence.ledgers.values()),
        "masks": describe.masks(evidence),
        "faithfulness": _faithfulness(evidence),
        "certificates": describe.certificates(evidence),
        "samples": samples(evidence, parts, plan),
        "evaluation": describe.evaluation(parts, meaning["precision"]),
        "missing": evidence.missing,
        "provenance": describe.provenance(evidence),
    }
    findings["warnings"] = describe.warnings(evidence, findings, meaning["warnings"])
    findings["summary"] = summary(findings)
    plain_findings: Json = plain(findings)  # numbers that are not finite become null
    return plain_findings


def _faithfulness(evidence: Evidence) -> Json:
    errors: dict[str, float] = {}
    entry: dict[str, Any] = {"mean_salient": {}, "sparsity": {}, "salient_error": {}, "held_out": {}}
    for name in evidence.models:
        final = evidence.final(name)
        interactions, tables = evidence.interactions[final], evidence.tables[final]
        if evidence.shown is None:
            errors[name] = faithfulness.reconstruction_error(interactions, tables)
        else:
            empty, full = evidence.ends(name)
            entry["held_out"][name] = plain(faithfulness.held_out(interactions, full - empty))
        at, cumulated = faithfulness.cumulated_strength(interactions)
        count, error = faithfulness.salient_error(interactions, tables, masks=evidence.shown)
        if len(at) >= len(entry.get("sparsity_at", ())):  # from the model with the most terms
            entry["sparsity_at"] = list(at)
        entry["sparsity"][name] = cumulated.mean(0).tolist()
        entry["mean_salient"][name] = count.double().mean().item()
        entry["salient_error"][name] = plain(mean_estimate(error.numpy()))
    return {"max_reconstruction_error": max(errors.values(), default=None), **entry}
