"""From a run's arrays to findings.json (format: docs/findings.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge import faithfulness
from bequeath.knowledge.dynamics import Dynamics, dynamics
from bequeath.knowledge.ledger import ledger
from bequeath.knowledge.regions import MODELS, REGIONS, Comparison
from bequeath.knowledge.statistics import mean_estimate, mean_estimates, ratio_estimate, ratio_estimates
from bequeath.lattice.bounds import preserved_bounds
from bequeath.lattice.decompose import decompose
from bequeath.lattice.interactions import Interactions
from bequeath.study import evidence as rests
from bequeath.study.claims import judge
from bequeath.study.evidence import Evidence, Json
from bequeath.study.examples import examples

SCHEMA = "bequeath.findings/1"
_LEVEL = 0.5
# How far above the least L1 norm a split may be and still count as equally sparse.
_SLACK = 1e-3


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
    runs = _dynamics(evidence, comparison)
    interval = identifiability(evidence, comparison, tables, progress)
    findings: Json = {
        "schema": SCHEMA,
        "study": rests.study(evidence),
        "models": rests.models(evidence),
        "knowledge": {
            "shares": shares(comparison),
            "reference": {"decomposition": "and", "shares": shares(reference)},
            "identifiability": interval,
            "by_order": _by_order(comparison),
        },
        "regions": _regions(comparison),
        **_ledgers(comparison, tables),
        "dynamics": _dynamics_findings(evidence, runs),
        "claims": judge(comparison, reference, interval, runs.get("finetuned"), runs.get("scratch")),
        "faithfulness": _faithfulness(final, tables),
        "certificates": rests.certificates(evidence),
        "samples": rests.samples(evidence, tables),
        "examples": examples(comparison, evidence.materials, plan),
        "evaluation": rests.evaluation(evidence),
        "missing": evidence.missing,
        "provenance": rests.provenance(evidence),
    }
    findings["warnings"] = rests.warnings(evidence, findings)
    return findings


def shares(comparison: Comparison) -> Json:
    """Preserved, discarded, new and relearned share: ratios of sums over all samples and interactions."""
    total = {name: value.abs().sum((-1, -2)).numpy() for name, value in comparison.values.items()}
    part = {
        name: getattr(comparison, name).sum((-1, -2)).numpy()
        for name in ("preserved", "discarded", "new", "relearned")
    }
    whole = {
        "preserved": total["pretrained"],
        "discarded": total["pretrained"],
        "new": total["finetuned"],
        "relearned": part["preserved"],
    }
    return {name: ratio_estimate(part[name], whole[name]).to_dict() for name in whole}


def identifiability(
    evidence: Evidence,
    comparison: Comparison,
    tables: dict[str, Tensor],
    progress: Callable[[int], None] | None,
) -> Json | None:
    """Least and greatest preserved share over equally sparse splits, as ratios of sums over samples (METHOD 2b).

    None where there is no choice of split (plain AND or OR), or where only salient interactions are compared.
    """
    if evidence.config.decomposition.kind != "and-or" or evidence.config.salient is not None:
        return None
    before, after = (tables[name] / comparison.scale[name] for name in ("pretrained", "finetuned"))
    bounds = preserved_bounds(before, after, slack=_SLACK, progress=progress)
    total = comparison.values["pretrained"].abs().sum((-1, -2)).numpy()
    shares = {
        name: ratio_estimate(getattr(bounds, name).numpy() * total, total).to_dict()
        for name in ("least", "least_found", "greatest_found", "greatest")
    }
    return {"slack": _SLACK, **shares}


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


def _ledgers(comparison: Comparison, tables: dict[str, Tensor]) -> Json:
    books, worst = {}, 0.0
    for name in MODELS:
        book = ledger(comparison, name, tables[name][:, 0], tables[name][:, -1])
        worst = max(worst, book.error)
        parts = {"total": book.total, **book.parts}
        books[name] = [
            {
                "part": part,
                "effect": mean_estimate(effect.numpy()).to_dict(),
                "share": _or_null(ratio_estimate(effect.numpy(), book.total.numpy()).to_dict()),
                "positive_without": mean_estimate(
                    book.positive_without(None if part == "total" else part).double().numpy()
                ).to_dict(),
            }
            for part, effect in parts.items()
        ]
    return {"ledger": books, "ledger_error": worst}


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
        rows = []
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
                    "strength_by_order": strength[1:],
                }
            )
        found[name] = rows
    areas = {name: run.area() for name, run in runs.items()}
    found["area"] = {name: mean_estimate(area).to_dict() for name, area in areas.items()}
    found["area"]["difference"] = mean_estimate(areas["finetuned"] - areas["scratch"]).to_dict()
    found["first_step"] = {"level": _LEVEL} | {name: run.first_step(_LEVEL) for name, run in runs.items()}
    found["dropped"] = {name: mean_estimate(run.dropped.numpy()).to_dict() for name, run in runs.items()}
    return found


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
