"""From a run's arrays to findings.json (format: docs/findings.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge import faithfulness
from bequeath.knowledge.bounds import preserved_bounds
from bequeath.knowledge.dynamics import Dynamics, dynamics, passage_ratio
from bequeath.knowledge.ledger import Ledger, ledger
from bequeath.knowledge.measures import WHOLE, Measures, Readings
from bequeath.knowledge.regions import MODELS, REGIONS, Comparison, compare
from bequeath.knowledge.statistics import (
    mean_estimate,
    mean_estimates,
    ratio_estimate,
    ratio_estimates,
    sign_flip_test,
)
from bequeath.lattice.exact.decompose import decompose
from bequeath.lattice.interactions import Interactions
from bequeath.study.findings import evidence as rests
from bequeath.study.findings.claims import judge
from bequeath.study.findings.evidence import Evidence, Json
from bequeath.study.findings.examples import examples
from bequeath.study.findings.per_sample import per_sample

SCHEMA = "bequeath.findings/1"
_LEVEL = 0.5
# How far above the least L1 norm a split may be and still count as equally sparse.
SLACK = 1e-3
BOUNDS = ("least", "least_found", "greatest_found", "greatest")


def build_findings(evidence: Evidence, progress: Callable[[int], None] | None = None) -> Json:
    """The findings of a run, ready for JSON, without the stage timings.

    `progress` is called with the number of samples whose bounds, the long part, were just found.
    """
    plan = evidence.plan
    final = {name: evidence.interactions[evidence.final(name)] for name in MODELS}
    tables = {name: evidence.tables[evidence.final(name)] for name in MODELS}
    comparison = evidence.compared(final)
    # Plain Harsanyi dividends are unique without any choice: the reference that the claims are checked against.
    reference = evidence.compared({name: decompose(tables[name], "and") for name in MODELS})
    measures, by_and = Measures.of(comparison), Measures.of(reference)
    scaled = Measures.of(compare(**final, normalise="l1", salient=evidence.config.salient))
    readings = Readings(measures, by_and, scaled)
    runs = _dynamics(evidence, comparison)
    bounds = _bounds(evidence, comparison, tables, progress)
    interval = None if bounds is None else identifiability(bounds, measures)
    books = {name: ledger(comparison, name, tables[name][:, 0], tables[name][:, -1]) for name in MODELS}
    findings: Json = {
        "schema": SCHEMA,
        "study": rests.study(evidence),
        "models": rests.models(evidence),
        "knowledge": {
            "shares": shares(measures),
            "reference": {"decomposition": "and", "shares": shares(by_and)},
            "scaled": {"normalise": "l1", "shares": shares(scaled)},
            "identifiability": interval,
            "by_order": _by_order(comparison),
        },
        "regions": _regions(comparison),
        "ledger": {name: ledger_rows(book) for name, book in books.items()},
        "ledger_error": max(book.error for book in books.values()),
        "dynamics": _dynamics_findings(evidence, runs),
        "claims": judge(readings, interval, runs.get("finetuned"), runs.get("scratch")),
        "faithfulness": _faithfulness(final, tables),
        "certificates": rests.certificates(evidence),
        "samples": rests.samples(evidence, tables),
        "per_sample": per_sample(evidence, readings, bounds, books, runs),
        "examples": examples(comparison, evidence.materials, plan),
        "evaluation": rests.evaluation(evidence),
        "missing": evidence.missing,
        "provenance": rests.provenance(evidence),
    }
    findings["warnings"] = rests.warnings(evidence, findings)
    return findings


def shares(measures: Measures) -> Json:
    """Preserved, discarded, new and relearned share: ratios of sums over all samples and interactions."""
    return {name: measures.share(name).to_dict() for name in WHOLE}


def _bounds(
    evidence: Evidence,
    comparison: Comparison,
    tables: dict[str, Tensor],
    progress: Callable[[int], None] | None,
) -> dict[str, NDArray[np.float64]] | None:
    """Each sample's least and greatest preserved share over equally sparse splits (METHOD 2b).

    None where there is no choice of split (plain AND or OR), or where only salient interactions are compared.
    """
    if evidence.config.decomposition.kind != "and-or" or evidence.config.salient is not None:
        return None
    before, after = (tables[name] / comparison.scale[name] for name in ("pretrained", "finetuned"))
    found = preserved_bounds(before, after, slack=SLACK, progress=progress)
    return {name: getattr(found, name).numpy() for name in BOUNDS}


def identifiability(bounds: Mapping[str, NDArray[np.float64]], measures: Measures) -> Json:
    """Bounds of samples, (samples,) or (seeds, samples), as bounds of the ratio of sums."""
    before, after = measures.total("pretrained"), measures.total("finetuned")
    found = {name: ratio_estimate(bounds[name] * before, before).to_dict() for name in BOUNDS}
    # What is not preserved of the fine-tuned model is new.
    new = {
        name: ratio_estimate(after - bounds[other] * before, after).to_dict()
        for name, other in (("least", "greatest"), ("greatest", "least"))
    }
    return {"slack": SLACK, **found, "new": new}


def _with_all(by_type: Tensor) -> NDArray[np.float64]:
    """(samples, 2, n + 1) by type and order -> (samples, 3, n + 1): all, and, or; order 0 = all orders."""
    values = torch.cat((by_type.sum(1, keepdim=True), by_type), dim=1).clone()
    values[..., 0] = values[..., 1:].sum(-1)
    return values.numpy()


def _by_order(comparison: Comparison) -> list[Json]:
    measures = {name: _with_all(total) for name, total in comparison.by_order().items()}
    signed = {name: _with_all(comparison.sum_by_order(value)) for name, value in comparison.values.items()}
    kept = torch.sign(comparison.values["pretrained"]) * comparison.discarded
    signed["discarded"] = _with_all(comparison.sum_by_order(kept))
    samples, types, size = measures["preserved"].shape

    def table(estimates: list[Any]) -> list[list[Json]]:
        return [[e.to_dict() for e in estimates[t * size : (t + 1) * size]] for t in range(types)]

    def flat(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values.reshape(samples, -1)

    strength = {name: table(mean_estimates(flat(values))) for name, values in measures.items()}
    share = {
        name: table(ratio_estimates(flat(measures[name]), flat(measures[whole])))
        for name, whole in (("preserved", "pretrained"), ("relearned", "preserved"))
    }
    cancellation = {
        name: table(ratio_estimates(flat(np.abs(values)), flat(measures[name])))
        for name, values in signed.items()
    }
    return [
        {
            "type": kind,
            "order": order,
            "strength": {name: values[t][order] for name, values in strength.items()},
            "shares": {name: _or_null(values[t][order]) for name, values in share.items()},
            "cancellation": {name: _or_null(values[t][order]) for name, values in cancellation.items()},
        }
        for t, kind in enumerate(("all", "and", "or"))
        for order in range(size)
        if not (kind == "or" and order == 1)  # singletons stand under AND
    ]


def _or_null(estimate: Json) -> Json | None:
    return None if estimate["mean"] is None else estimate


def _regions(comparison: Comparison) -> list[Json]:
    signed = comparison.regions
    found = []
    for index, (region, models) in enumerate(REGIONS.items()):
        strength = comparison.sum_by_order(signed[:, index].abs().sum(1)).numpy()
        effect = signed[:, index].sum((-1, -2)).numpy()
        found.append(
            {
                "region": region,
                "strength": mean_estimate(strength.sum(1)).to_dict(),
                "by_order": [e.to_dict() for e in mean_estimates(strength[:, 1:])],
                "effect": {m: mean_estimate(effect * comparison.scale[m]).to_dict() for m in models},
            }
        )
    return found


def ledger_rows(book: Ledger) -> list[Json]:
    """One model's ledger, over samples or over seeds and samples."""
    return [
        {
            "part": part,
            "effect": mean_estimate(effect).to_dict(),
            "share": _or_null(ratio_estimate(effect, book.total).to_dict()),
            "positive_without": mean_estimate(
                book.positive_without(None if part == "total" else part)
            ).to_dict(),
        }
        for part, effect in {"total": book.total, **book.parts}.items()
    ]


def _dynamics(evidence: Evidence, comparison: Comparison) -> dict[str, Dynamics]:
    """The runs with checkpoints enough to speak of a course."""
    plan, found = evidence.plan, {}
    for name in ("finetuned", "scratch"):
        positions = plan.of(name)
        if len(positions) >= 3:
            effects = torch.stack([evidence.interactions[i].values for i in positions])
            steps = [plan.checkpoints[i].step for i in positions]
            found[name] = dynamics(effects, [step for step in steps if step is not None], comparison.orders)
    return found


def _dynamics_findings(evidence: Evidence, runs: dict[str, Dynamics]) -> Json | None:
    if len(runs) < 2:
        return None
    found: Json = {}
    for name, run in runs.items():
        rows, mean_orders = [], run.mean_order()
        for index, position in enumerate(evidence.plan.of(name)):
            similar = [e.to_dict() for e in mean_estimates(run.similarity[index].numpy())]
            strength = [e.to_dict() for e in mean_estimates(run.strength[index].numpy())]
            rows.append(
                {
                    "name": evidence.plan.checkpoints[position].name,
                    "step": int(run.steps[index]),
                    "accuracy": mean_estimate(evidence.correct[position]).to_dict(),
                    "similarity": similar[0],
                    "by_order": similar[1:],
                    "strength": strength[0],
                    "strength_by_order": strength[1:],
                    "mean_order": mean_orders[index].to_dict(),
                }
            )
        found[name] = rows
    return {**found, **courses(runs)}


def courses(runs: Mapping[str, Dynamics]) -> Json:
    """How early and how steadily both runs get to their final knowledge; of one seed, or of several together."""
    areas = {name: run.area() for name, run in runs.items()}
    ahead = areas["finetuned"] - areas["scratch"]
    dropped = {name: run.dropped.numpy() for name, run in runs.items()}
    more = dropped["scratch"] - dropped["finetuned"]
    passages = {name: run.first_passage(_LEVEL).to_dict() for name, run in runs.items()}
    return {
        "area": {name: mean_estimate(area).to_dict() for name, area in areas.items()}
        | {"difference": mean_estimate(ahead).to_dict(), "p": sign_flip_test(ahead)},
        "first_step": {"level": _LEVEL} | {name: run.first_step(_LEVEL) for name, run in runs.items()},
        "first_passage": {"level": _LEVEL, **passages}
        | {"ratio": passage_ratio(runs["finetuned"], runs["scratch"], _LEVEL).to_dict()},
        "dropped": {name: mean_estimate(share).to_dict() for name, share in dropped.items()}
        | {"difference": mean_estimate(more).to_dict(), "p": sign_flip_test(more)},
    }


def _faithfulness(final: dict[str, Interactions], tables: dict[str, Tensor]) -> Json:
    sparsity: dict[str, list[float]] = {}
    counts: dict[str, float] = {}
    errors: Json = {}
    at: tuple[int, ...] = ()
    for name, interactions in final.items():
        at, cumulated = faithfulness.cumulated_strength(interactions)
        sparsity[name] = cumulated.mean(0).tolist()
        count, error = faithfulness.salient_error(interactions, tables[name])
        counts[name] = count.double().mean().item()
        errors[name] = mean_estimate(error.numpy()).to_dict()
    return {
        "max_reconstruction_error": max(
            faithfulness.reconstruction_error(final[name], tables[name]) for name in final
        ),
        "mean_salient": counts,
        "sparsity_at": list(at),
        "sparsity": sparsity,
        "salient_error": errors,
    }
