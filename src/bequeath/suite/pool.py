"""Findings of several seeds of one study as one: figures over samples and seeds, and the verdicts that they bear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.dynamics import Dynamics
from bequeath.knowledge.ledger import Ledger
from bequeath.knowledge.regions import MODELS, REGIONS
from bequeath.knowledge.statistics import mean_estimate, mean_estimates, ratio_estimates
from bequeath.study.findings.claims import judge
from bequeath.study.findings.findings import BOUNDS, courses, identifiability, ledger_rows, shares
from bequeath.study.findings.per_sample import course, stacked_readings
from bequeath.study.train import RUNS

Json = dict[str, Any]


def pool(seeds: Sequence[Json]) -> Json:
    """Findings of one study's seeds, pooled.

    Parameters
    ----------
    seeds : sequence of dict
        Findings (docs/findings.md) of runs that differ in the seed of training alone.

    Returns
    -------
    dict
        ``study``, ``models`` (accuracies), ``knowledge`` (shares by the study's reading, by plain AND and in each
        model's own scale; identifiability; preserved share by order), ``regions``, ``ledger``, ``dynamics``,
        ``claims``, as in findings; estimates are over samples and seeds.

    Raises
    ------
    BequeathError
        If there are none, or they are not of the same samples, players and checkpoints.
    """
    if not seeds:
        raise BequeathError("seeds: none given")
    first = seeds[0]
    for one in seeds:
        if [s["id"] for s in one["samples"]] != [s["id"] for s in first["samples"]]:
            raise BequeathError(
                f"seeds: {one['study']['name']!r} was read on other samples than {first['study']['name']!r}"
            )
    kept = [one["per_sample"] for one in seeds]
    readings = stacked_readings(kept)
    measures = readings.measures
    interval = None
    if all(one["bounds"] for one in kept):
        bounds = {name: np.array([one["bounds"][name] for one in kept]) for name in BOUNDS}
        interval = identifiability(bounds, measures)
    runs = {
        name: Dynamics.stacked([course(one["dynamics"][name]) for one in kept])
        for name in RUNS
        if all(name in one["dynamics"] for one in kept)
    }
    return {
        "study": {**first["study"], "seeds": len(seeds)},
        "models": {
            name: {
                "source": first["models"][name]["source"],
                "accuracy": mean_estimate(np.array([one["correct"][name] for one in kept], float)).to_dict(),
            }
            for name in MODELS
        },
        "knowledge": {
            "shares": shares(measures),
            "strength": {name: mean_estimate(measures.total(name)).to_dict() for name in MODELS},
            "reference": {"decomposition": "and", "shares": shares(readings.reference)},
            "scaled": {"normalise": "l1", "shares": shares(readings.scaled)},
            "identifiability": interval,
            "preserved_by_order": [
                e.to_dict()
                for e in ratio_estimates(measures.by_order["preserved"], measures.by_order["pretrained"])
            ],
        },
        **_ledger(seeds),
        "dynamics": {**_curves(runs), **courses(runs)} if len(runs) == len(RUNS) else None,
        "claims": judge(readings, interval, runs.get("finetuned"), runs.get("scratch")),
        "warnings": _alarms(seeds),
    }


def _alarms(seeds: Sequence[Json]) -> list[str]:
    """The seeds' warnings, but for those that every single run has; and in how many of them, where not in all."""
    usual = ("The split into AND and OR", "One training run of each kind")
    counts = Counter(text for one in seeds for text in one["warnings"] if not text.startswith(usual))
    return [
        text if count == len(seeds) else f"{text} (In {count} of {len(seeds)} seeds.)"
        for text, count in sorted(counts.items())
    ]


def _ledger(seeds: Sequence[Json]) -> Json:
    """Regions as shares of each model's output, and each region's effect, which is the same in all of its models."""

    def outputs(name: str, which: str) -> Tensor:
        return _tensor([[sample[which][name] for sample in one["samples"]] for one in seeds])

    ledgers: Json = {}
    effects: dict[str, Tensor] = {}
    for name in MODELS:
        full, empty = outputs(name, "v_full"), outputs(name, "v_empty")
        parts = {
            part: _tensor([one["per_sample"]["ledger"][name][part] for one in seeds])
            for part, models in REGIONS.items()
            if name in models
        }
        effects |= parts
        ledgers[name] = ledger_rows(Ledger(parts, full - empty, full))
    return {
        "ledger": ledgers,
        "regions": [
            {"region": region, "effect": mean_estimate(effects[region]).to_dict()} for region in REGIONS
        ],
    }


def _tensor(values: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _curves(runs: dict[str, Dynamics]) -> Json:
    """Along training: similarity to the run's own end, strength by order, mean order."""
    found: Json = {}
    for name, run in runs.items():
        similar = mean_estimates(run.curves())
        strength = np.moveaxis(run.strength.numpy(), -3, -2)  # (seeds, samples, checkpoints, n + 1)
        orders = [mean_estimates(strength[..., order]) for order in range(1, strength.shape[-1])]
        mean_order = run.mean_order()
        found[name] = [
            {
                "step": int(step),
                "similarity": similar[place].to_dict(),
                "strength_by_order": [estimates[place].to_dict() for estimates in orders],
                "mean_order": mean_order[place].to_dict(),
            }
            for place, step in enumerate(run.steps)
        ]
    return found
