"""What a run rests on: its arrays as read back, and what was compared, checked and used."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge.regions import MODELS, Comparison, compare
from bequeath.knowledge.statistics import mean_estimate
from bequeath.lattice.interactions import Interactions
from bequeath.study.config import StudyConfig
from bequeath.study.findings.missing import Part
from bequeath.study.loading import Materials
from bequeath.study.plan import Plan
from bequeath.study.store.store import Store

_FEW_SAMPLES = 20
# Strength of a model whose values differ by rounding alone.
_DEAD = 1e-3

Json = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """Everything the findings are made from; axes as in the store."""

    config: StudyConfig
    materials: Materials
    plan: Plan
    interactions: tuple[Interactions, ...]
    tables: tuple[Tensor, ...]
    correct: tuple[NDArray[np.float64], ...]
    precision: Json
    """For each model, what lower precision does to its values on one sample; empty in full precision."""
    missing: Json | None
    """What failed and was left out."""

    @classmethod
    def collect(
        cls, config: StudyConfig, materials: Materials, part: Part, store: Store, precision: Json
    ) -> Evidence:
        """Read what can be compared of a run."""
        samples: Sequence[int] | slice = slice(None) if part.missing is None else part.samples
        return cls(
            config,
            materials,
            part.plan,
            tuple(store.interactions(c, samples) for c in part.checkpoints),
            tuple(store.tables(c, samples) for c in part.checkpoints),
            tuple(store.correct(c) for c in part.checkpoints),
            precision,
            part.missing,
        )

    def final(self, model: str) -> int:
        """Position of a model's last checkpoint."""
        return self.plan.of(model)[-1]

    def compared(self, final: dict[str, Interactions]) -> Comparison:
        """The three models' interactions under the study's normalisation and salience."""
        return compare(**final, normalise=self.config.normalise, salient=self.config.salient)


def study(evidence: Evidence) -> Json:
    """What was compared, in words and names."""
    config, materials = evidence.config, evidence.materials
    kind = config.decomposition.kind
    return {
        "name": config.name,
        "kind": materials.data.modality,
        "players": str(materials.players()),
        "n_players": materials.n_players,
        "baseline": str(materials.baseline),
        "value": str(materials.value(0)),
        "decomposition": kind + (f", gap {config.decomposition.tol:g}" if kind == "and-or" else ""),
        "normalise": config.normalise,
        "salient": config.salient,
        "classes": list(materials.classes),
        "data": materials.data.source,
        "n_samples": len(evidence.plan.samples),
    }


def _source(evidence: Evidence, name: str) -> str:
    model = evidence.config.all_models()[name]
    return model.architecture + (", linear probe on the frozen backbone" if model.probe else "")


def models(evidence: Evidence) -> Json:
    """The three models: source, checkpoints, accuracy."""
    plan = evidence.plan
    return {
        name: {
            "source": _source(evidence, name),
            "checkpoints": [
                {"name": plan.checkpoints[i].name, "step": plan.checkpoints[i].step} for i in plan.of(name)
            ],
            "accuracy": mean_estimate(evidence.correct[evidence.final(name)]).to_dict(),
        }
        for name in MODELS
    }


def certificates(evidence: Evidence) -> Json | None:
    """None where the decomposition is a closed form and needs no certificate."""
    certificates = [i.certificate for i in evidence.interactions if i.certificate is not None]
    if not certificates:
        return None
    gaps = torch.cat([certificate.gap for certificate in certificates])
    resolutions = torch.cat([certificate.resolution for certificate in certificates])
    tol = evidence.config.decomposition.tol
    return {
        "tol": tol,
        "worst_gap": gaps.max().item(),
        "mean_gap": gaps.mean().item(),
        "n": len(gaps),
        "missed": int((gaps > tol).sum()),
        "worst_resolution": resolutions.max().item(),
    }


def samples(evidence: Evidence, tables: dict[str, Tensor]) -> list[Json]:
    """The samples and the models' values on them."""
    found = []
    for row, index in enumerate(evidence.plan.samples):
        sample = evidence.materials.data[index]
        found.append(
            {
                "id": sample.id,
                "class": evidence.materials.classes[sample.label],
                "label": sample.label,
                "v_full": {name: table[row, -1].item() for name, table in tables.items()},
                "v_empty": {name: table[row, 0].item() for name, table in tables.items()},
            }
        )
    return found


def evaluation(evidence: Evidence) -> Json:
    """How the models were run, and what lower precision did to their values."""
    how = evidence.materials.how
    return {
        "device": how.device,
        "batch_size": how.batch_size,
        "autocast": how.autocast,
        "autocast_effect": evidence.precision or None,
    }


def warnings(evidence: Evidence, findings: Json) -> list[str]:
    """What a reader must know before relying on the findings."""
    found = []
    n = len(evidence.plan.samples)
    if evidence.missing:
        found.append(_missing_text(evidence.missing))
    if n < _FEW_SAMPLES:
        found.append(f"Only {n} samples: bootstrap intervals from so few tend to be too narrow.")
    if findings["certificates"] and findings["certificates"]["missed"]:
        missed = findings["certificates"]
        found.append(
            f"{missed['missed']} of {missed['n']} decompositions missed the asked gap {missed['tol']:g}."
        )
    if evidence.precision:
        worst = max(evidence.precision.values(), key=lambda effect: effect["relative"])
        found.append(
            f"Run in {evidence.materials.how.autocast}: on one sample this changed values by up to {worst['max']:.2g}, "
            f"{100 * worst['relative']:.2g}% of what all players together change."
        )
    if findings["dynamics"] is None:
        found.append("Fewer than 3 checkpoints of the fine-tuned or the scratch run: F3 cannot be judged.")
    if evidence.config.decomposition.kind == "and-or":
        found.append(
            "The split into AND and OR is one choice (least L1 norm, then least squares) among many that fit the "
            "model equally well; shares depend on it. The plain AND reading is given beside it, and the bounds of the "
            "preserved share over all splits that are as sparse."
        )
    strength = findings["knowledge"]["by_order"][0]["strength"]
    found += [
        f"The {name} model answers alike whatever is shown of a sample: its interactions are all 0. Did it die in "
        "training?"
        for name in MODELS
        if strength[name]["mean"] < _DEAD
    ]
    accuracy = {name: findings["models"][name]["accuracy"]["mean"] for name in MODELS}
    for name in ("finetuned", "pretrained"):
        if accuracy[name] < accuracy["scratch"]:
            found.append(
                f"The {name} model is less accurate than the scratch model: check its weights and head."
            )
    if accuracy["finetuned"] < accuracy["pretrained"]:
        found.append(
            "The fine-tuned model is less accurate than the pre-trained one: fine-tuning did harm here."
        )
    found.append(f"One training run of each kind: the intervals are over the {n} samples, not over seeds.")
    return found


def _missing_text(missing: Json) -> str:
    text = (
        f"{missing['interactions']} of {missing['of']} pairs of checkpoint and sample failed and are missing."
    )
    for what in ("checkpoints", "samples"):
        if missing[what]:
            text += f" Left out for it: {what} {', '.join(missing[what])}."
    if missing["failures"]:
        text += f" The first error: {missing['failures'][0]['error']}"
    return text


def provenance(evidence: Evidence) -> Json:
    """Versions, seed, work done, time."""
    versions = {"python": platform.python_version()}
    for package in ("bequeath", "torch", "numpy", "scipy", "scikit-learn"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    tables = sum(len(t) for t in evidence.tables)
    n = evidence.materials.n_players
    return {
        "versions": versions,
        "seed": evidence.config.seed,
        "evaluations": tables * 2**n,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
