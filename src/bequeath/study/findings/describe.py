"""The descriptive parts of the findings: study, models, samples, provenance, and the warnings."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

from bequeath.games.players import Players
from bequeath.knowledge.share import SIGNIFICANT
from bequeath.knowledge.statistics import mean_estimate
from bequeath.lattice.sparse.growth import Look, why_enough
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain
from bequeath.study.loading.parts import StudyParts

_FEW_SAMPLES = 20
# Held-out R2 below which a reader is warned.
_LOW_R2 = 0.5
# Strength, in units of the value, below which values differ by rounding only.
_DEAD = 1e-3


def study(evidence: Evidence, parts: StudyParts) -> Json:
    """The entry ``study``: what was compared, and how."""
    config = evidence.config
    return {
        "name": config.name,
        "modality": parts.inputs.modality,
        **parts.games.described,
        "n_players": parts.games.n_players,
        "player_names": list(evidence.comparison.players),
        "boxes": boxes(parts.games.players()),
        "orders": evidence.comparison.most,
        "decomposition": _decomposition(evidence),
        "normalise": config.normalise,
        "salient": config.salience,
        "classes": list(parts.inputs.classes),
        "data": parts.inputs.data.source,
        "preprocessing": preprocessing(parts),
        "n_samples": len(evidence.samples),
        "retest": _retest(evidence, parts),
    }


def boxes(players: Players) -> list[list[float]] | None:
    """(x0, y0, x1, y1) of each player as fractions of the picture; None if players are no boxes."""
    exact = players.boxes()
    return None if exact is None else [[round(side, 4) for side in box] for box in exact]


def preprocessing(parts: StudyParts) -> Json | None:
    """The entry ``preprocessing``: how pictures become inputs, or how long texts may be; None for tables."""
    how = getattr(parts.inputs.data, "preprocessing", None)
    if how is not None:
        return asdict(how)
    if parts.inputs.tokenizer is not None:
        limit = parts.inputs.tokenizer.model_max_length
        return {
            "tokenizer": type(parts.inputs.tokenizer).__name__,
            "most_tokens": limit if limit < 10**9 else None,
        }
    return None


def _retest(evidence: Evidence, parts: StudyParts) -> Json | None:
    """The equivalent game in words, and the number of samples that were read on it; None without a retest."""
    if evidence.config.retest is None:
        return None
    was_read = [reading.offset.isfinite() for reading in evidence.retests.values()]
    count = int(torch.stack(was_read).any(0).sum()) if was_read else 0
    return {**parts.games.retest_described, "n_samples": count}


def _decomposition(evidence: Evidence) -> str:
    """The reading in a few words."""
    decomposition = evidence.config.decomposition
    if decomposition.sparse:
        return f"sparse, order up to {evidence.comparison.most}"
    return decomposition.kind + (f", gap {decomposition.tol:g}" if decomposition.certified else "")


def masks(evidence: Evidence) -> Json | None:
    """The entry ``masks``: the masks of sparse readings; None if all 2**n were evaluated."""
    if evidence.shown is None:
        return None
    sampling, (number, n) = evidence.config.sampling, evidence.shown.shape
    looks = [Look(**look) for look in evidence.looks]
    return {
        "number": number,
        "of": f"2^{n}",
        "design": sampling.design,
        "shown": sampling.shown,
        "looks": [plain(look) for look in looks],
        "stopped": why_enough(looks, n, sampling.limit) if looks else None,
    }


def models(evidence: Evidence, outputs: dict[str, str]) -> Json:
    """The entry ``models``: each model's role, source, outputs, checkpoints and accuracy."""
    roles = {name: role for role, name in evidence.config.roles.given()}
    entries = {}
    for name in evidence.models:
        model = evidence.config.models[name]
        checkpoints = [evidence.checkpoints[i] for i in evidence.of(name)]
        entries[name] = {
            "role": roles.get(name),
            "source": model.architecture + (", linear probe on the frozen backbone" if model.probe else ""),
            "outputs": outputs[name],
            "checkpoints": [{"name": checkpoint.name, "step": checkpoint.step} for checkpoint in checkpoints],
            "accuracy": plain(mean_estimate(evidence.correct[evidence.final(name)])),
        }
    return entries


def certificates(evidence: Evidence) -> Json | None:
    """The entry ``certificates``; None if the decomposition is a closed form, which needs none."""
    certificates = [i.certificate for i in evidence.interactions if i.certificate is not None]
    if not certificates:
        return None
    gaps = torch.cat([certificate.gap for certificate in certificates])
    resolutions = torch.cat([certificate.resolution for certificate in certificates])
    # Sparse readings have no required gap; their gap is only reported.
    tol = None if evidence.shown is not None else evidence.config.decomposition.tol
    return {
        "tol": tol,
        "worst_gap": gaps.max().item(),
        "mean_gap": gaps.mean().item(),
        "n": len(gaps),
        "missed": 0 if tol is None else int((gaps > tol).sum()),
        # Infinite, and so null, if the unique solution was not requested.
        "worst_resolution": plain(resolutions.max().item()),
    }


def evaluation(parts: StudyParts, precision: Json) -> Json:
    """The entry ``evaluation``: how the models were run, and how much lower precision changed their values."""
    how = parts.inputs.how
    return {
        "device": how.device,
        "batch_size": how.batch_size,
        "autocast": how.autocast,
        "autocast_effect": precision or None,
    }


def provenance(evidence: Evidence) -> Json:
    """The entry ``provenance``: versions, seed, number of evaluations, time."""
    versions = {"python": platform.python_version()}
    for package in ("bequeath", "torch", "numpy", "scipy", "scikit-learn"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    entries = evidence.tables[0].shape[1]
    retested = entries * sum(int(reading.offset.isfinite().sum()) for reading in evidence.retests.values())
    return {
        "versions": versions,
        "seed": evidence.config.seed,
        "evaluations": sum(table.numel() for table in evidence.tables) + retested,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def warnings(evidence: Evidence, findings: Json, understood: list[str]) -> list[str]:
    """The entry ``warnings``: what a reader must know before relying on the findings.

    Parameters
    ----------
    evidence : Evidence
    findings : dict
        All other entries.
    understood : list of str
        Warnings of the models' checks (`bequeath.study.meaning`).
    """
    texts = []
    config, n = evidence.config, len(evidence.samples)
    if evidence.missing:
        texts.append(_missing_text(evidence.missing))
    texts += understood
    if n < _FEW_SAMPLES:
        texts.append(f"Only {n} samples: bootstrap intervals from so few tend to be too narrow.")
    certificates = findings["certificates"]
    if certificates and certificates["missed"]:
        texts.append(
            f"{certificates['missed']} of {certificates['n']} decompositions did not reach the required duality gap of "
            f"{certificates['tol']:g}."
        )
    effect = findings["evaluation"]["autocast_effect"]
    if effect:
        worst = max(effect.values(), key=lambda of_model: of_model["relative"])
        texts.append(
            f"The models were run in {findings['evaluation']['autocast']}. On one sample, this changed values by up to "
            f"{worst['max']:.2g}, which is {100 * worst['relative']:.2g}% of the change by all players together."
        )
    if config.bounds is not None and evidence.bounds is None:
        texts.append(
            "Bounds of the preserved share could not be computed for every sample, so none are given."
        )
    elif evidence.bounds is not None and (late := int(np.isnan(evidence.bounds["least_found"]).sum())):
        texts.append(
            f"Bounds: for {late} of {n} samples the solver did not come close enough to the sparsest splits; for these "
            "only the outer bounds are given."
        )
    if config.decomposition.certified and not config.decomposition.sparse:
        text = (
            "The split into AND and OR is one choice (least L1 norm, then least squares) among many that fit the "
            "model equally well, and shares depend on it. The AND reading, which leaves no choice, is given as well."
        )
        more = " The option bounds: true gives bounds over all equally sparse splits."
        texts.append(text + (more if config.decomposition.kind == "and-or" and config.bounds is None else ""))
    if config.focus is not None:
        texts.append(
            f"{_flipped(findings)} of the {n} samples were chosen because one of the models before and after has them "
            "right and the other wrong (focus). The shares describe such samples, not the data as a whole."
        )
    texts += _unpredicted(findings["faithfulness"]["held_out"])
    texts += near_chance(findings["knowledge"]["shares"])
    texts += _about_models(evidence, findings)
    texts.append(f"One training run per model: intervals are over the {n} samples, not over seeds.")
    return texts


def _flipped(findings: Json) -> int:
    """The number of flipped samples that were read."""
    return sum(sample["change"] is not None for sample in findings["forgotten"]["samples"])


def _unpredicted(held_out: Json) -> list[str]:
    """Warnings about models whose sparse readings predict little of the held-out masks."""
    return [
        f"The reading of {name} explains only {100 * reading['r2']['mean']:.0f}% of the variation over held-out masks: "
        "it misses most of what the model does when parts are hidden. More masks may help (masks: auto)."
        for name, reading in held_out.items()
        if reading["r2"]["mean"] is not None and reading["r2"]["mean"] < _LOW_R2
    ]


def near_chance(shares: Json) -> list[str]:
    """Warnings about shares that are not above chance, or not above those of other samples of the same class."""
    texts = []
    for name in ("preserved", "relearned"):
        share = shares.get(name)
        if share is None or share["above_chance"] is None:
            continue
        within = share["p_within_classes"]
        if not share["above_chance"]:
            texts.append(
                f"The {name} share is not clearly above chance: {_percent(share['corrected'])} "
                f"[{_percent(share['low'])}, {_percent(share['high'])}] on the scale from chance (0%) to another "
                f"reading of the same model (100%), p = {share['p']:.2f}."
            )
        elif within is not None and within > SIGNIFICANT:
            texts.append(
                f"The {name} share is above the chance level of other samples, but not above that of other samples of "
                f"the same class (p = {within:.2f}). The models may share what they know about classes, not about "
                "single samples."
            )
    return texts


def _percent(x: float) -> str:
    return f"{100 * x:.0f}%"


def _about_models(evidence: Evidence, findings: Json) -> list[str]:
    texts = [
        f"{name} gives the same output whatever parts of a sample are shown: all its interactions are 0. Its training "
        "may have failed."
        for name in evidence.models
        if evidence.interactions[evidence.final(name)].by_order().sum(-1).mean() < _DEAD
    ]
    texts += [
        f"{name}: {choice}."
        for name in evidence.models
        if (choice := evidence.state(name).get("chosen")) is not None
    ]
    for first, second in evidence.same_file():
        texts.append(f"{first} and {second} are the same file, so they share everything.")
    names = evidence.compared
    if "control" in names and not {names["after"], names["control"]} <= evidence.courses.keys():
        texts.append(
            f"Fewer than 3 checkpoints of {names['after']} or {names['control']}: F3 cannot be judged."
        )
    accuracy = {role: findings["models"][name]["accuracy"]["mean"] for role, name in names.items()}
    for role in ("after", "before"):
        if "control" in names and accuracy[role] < accuracy["control"]:
            texts.append(
                f"{names[role]} is less accurate than {names['control']}. Check its weights and head."
            )
    if accuracy["after"] < accuracy["before"]:
        texts.append(f"{names['after']} is less accurate than {names['before']}.")
    return texts


def _missing_text(missing: Json) -> str:
    parts = [
        f"{missing['interactions']} of {missing['of']} pairs of checkpoint and sample failed and are missing."
    ]
    for axis in ("checkpoints", "samples"):
        if missing[axis]:
            parts.append(f"Therefore these {axis} are left out: {', '.join(missing[axis])}.")
    if not missing["interactions"] and not missing["checkpoints"]:
        parts = []  # only retests are missing
    for name, count in missing["retests"].items():
        parts.append(f"The retest of {name} failed on {count} of its samples.")
    if missing["failures"]:
        parts.append(f"The first error: {missing['failures'][0]['error']}")
    return " ".join(parts)
