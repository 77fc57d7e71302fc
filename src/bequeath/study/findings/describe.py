"""What was compared, checked and used, in words and names; and what a reader must know first."""

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
_LITTLE = 0.5
# Strength, in units of the value, of a model whose values differ by rounding alone.
_DEAD = 1e-3


def study(evidence: Evidence, parts: StudyParts) -> Json:
    """What was compared."""
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
    """(x0, y0, x1, y1) of each player as fractions of the picture; None where players are no boxes."""
    given = players.boxes()
    return None if given is None else [[round(side, 4) for side in box] for box in given]


def preprocessing(parts: StudyParts) -> Json | None:
    """How pictures become inputs, or how long texts may be; None for tables."""
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
    """The equivalent game in words, and on how many samples any model was read on it; None: there is none."""
    if evidence.config.retest is None:
        return None
    read = [one.offset.isfinite() for one in evidence.retests.values()]
    count = int(torch.stack(read).any(0).sum()) if read else 0
    return {**parts.games.retest_described, "n_samples": count}


def _decomposition(evidence: Evidence) -> str:
    """The reading in a few words."""
    decomposition = evidence.config.decomposition
    if decomposition.sparse:
        return f"sparse, order up to {evidence.comparison.most}"
    return decomposition.kind + (f", gap {decomposition.tol:g}" if decomposition.certified else "")


def masks(evidence: Evidence) -> Json | None:
    """The masks that sparse readings are of; None where all 2**n were evaluated."""
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
    """Each model's role, source, outputs, checkpoints and accuracy."""
    roles = {name: role for role, name in evidence.config.roles.given()}
    found = {}
    for name in evidence.models:
        model = evidence.config.models[name]
        checkpoints = [evidence.checkpoints[i] for i in evidence.of(name)]
        found[name] = {
            "role": roles.get(name),
            "source": model.architecture + (", linear probe on the frozen backbone" if model.probe else ""),
            "outputs": outputs[name],
            "checkpoints": [{"name": one.name, "step": one.step} for one in checkpoints],
            "accuracy": plain(mean_estimate(evidence.correct[evidence.final(name)])),
        }
    return found


def certificates(evidence: Evidence) -> Json | None:
    """None where the decomposition is a closed form and needs no certificate."""
    certificates = [i.certificate for i in evidence.interactions if i.certificate is not None]
    if not certificates:
        return None
    gaps = torch.cat([certificate.gap for certificate in certificates])
    resolutions = torch.cat([certificate.resolution for certificate in certificates])
    # Of a sparse reading the gap is proven, not asked for.
    tol = None if evidence.shown is not None else evidence.config.decomposition.tol
    return {
        "tol": tol,
        "worst_gap": gaps.max().item(),
        "mean_gap": gaps.mean().item(),
        "n": len(gaps),
        "missed": 0 if tol is None else int((gaps > tol).sum()),
        # Where the gap alone was asked for, nothing was settled.
        "worst_resolution": plain(resolutions.max().item()),
    }


def evaluation(parts: StudyParts, precision: Json) -> Json:
    """How the models were run, and what lower precision did to their values."""
    how = parts.inputs.how
    return {
        "device": how.device,
        "batch_size": how.batch_size,
        "autocast": how.autocast,
        "autocast_effect": precision or None,
    }


def provenance(evidence: Evidence) -> Json:
    """Versions, seed, work done, time."""
    versions = {"python": platform.python_version()}
    for package in ("bequeath", "torch", "numpy", "scipy", "scikit-learn"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    entries = evidence.tables[0].shape[1]
    again = entries * sum(int(one.offset.isfinite().sum()) for one in evidence.retests.values())
    return {
        "versions": versions,
        "seed": evidence.config.seed,
        "evaluations": sum(table.numel() for table in evidence.tables) + again,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def warnings(evidence: Evidence, findings: Json, understood: list[str]) -> list[str]:
    """What a reader must know before relying on the findings; `understood`: what the models' check said."""
    found = []
    config, n = evidence.config, len(evidence.samples)
    if evidence.missing:
        found.append(_missing_text(evidence.missing))
    found += understood
    if n < _FEW_SAMPLES:
        found.append(f"Only {n} samples: bootstrap intervals from so few tend to be too narrow.")
    certificates = findings["certificates"]
    if certificates and certificates["missed"]:
        found.append(
            f"{certificates['missed']} of {certificates['n']} decompositions missed the asked gap "
            f"{certificates['tol']:g}."
        )
    effect = findings["evaluation"]["autocast_effect"]
    if effect:
        worst = max(effect.values(), key=lambda one: one["relative"])
        found.append(
            f"Run in {findings['evaluation']['autocast']}: on one sample this changed values by up to "
            f"{worst['max']:.2g}, {100 * worst['relative']:.2g}% of what all players together change."
        )
    if config.bounds is not None and evidence.bounds is None:
        found.append("Bounds of the preserved share were asked for and could not be found for every sample.")
    elif evidence.bounds is not None and (late := int(np.isnan(evidence.bounds["least_found"]).sum())):
        found.append(
            f"Bounds: the solver did not come near enough to the sparsest splits of {late} of {n} samples; only the "
            "outer bounds are given."
        )
    if config.decomposition.certified and not config.decomposition.sparse:
        text = (
            "The split into AND and OR is one choice (least L1 norm, then least squares) among many that fit the "
            "model equally well; shares depend on it. The AND reading, which has no choice, is given beside it."
        )
        more = " Bounds over all equally sparse splits can be asked for (bounds: true)."
        found.append(text + (more if config.decomposition.kind == "and-or" and config.bounds is None else ""))
    if config.focus is not None:
        found.append(
            f"{_flipped(findings)} of the {n} samples were chosen because one of the models before and after has them "
            "right and the other wrong (focus): shares are of such samples, not of the data."
        )
    found += _unpredicted(findings["faithfulness"]["held_out"])
    found += near_chance(findings["knowledge"]["shares"])
    found += _about_models(evidence, findings)
    found.append(f"One training run per model: the intervals are over the {n} samples, not over seeds.")
    return found


def _flipped(findings: Json) -> int:
    """Samples that were read and that flipped."""
    return sum(one["change"] is not None for one in findings["forgotten"]["samples"])


def _unpredicted(held_out: Json) -> list[str]:
    """Models whose sparse readings predict little of the masks that were left out."""
    return [
        f"The reading of {name} explains {100 * one['r2']['mean']:.0f}% of the variation over masks that it was not "
        "fitted on: most of what the model does with hidden parts is not in it. More masks may help (masks: auto)."
        for name, one in held_out.items()
        if one["r2"]["mean"] is not None and one["r2"]["mean"] < _LITTLE
    ]


def near_chance(shares: Json) -> list[str]:
    """Shares that are not above chance; else those that samples of one class reach without being the same."""
    found = []
    for name in ("preserved", "relearned"):
        share = shares.get(name)
        if share is None or share["above_chance"] is None:
            continue
        within = share["p_within_classes"]
        if not share["above_chance"]:
            found.append(
                f"The {name} share is not clearly above chance: {_percent(share['corrected'])} "
                f"[{_percent(share['low'])}, {_percent(share['high'])}] of the way from chance to what can be read "
                f"(p = {share['p']:.2f})."
            )
        elif within is not None and within > SIGNIFICANT:
            found.append(
                f"The {name} share is above that of other samples, but not above that of other samples of the same "
                f"class (p = {within:.2f}): the models may have in common what they know of the classes, not of each "
                "sample."
            )
    return found


def _percent(x: float) -> str:
    return f"{100 * x:.0f}%"


def _about_models(evidence: Evidence, findings: Json) -> list[str]:
    found = [
        f"{name} answers alike whatever is shown of a sample: its interactions are all 0. Did it die in training?"
        for name in evidence.models
        if evidence.interactions[evidence.final(name)].by_order().sum(-1).mean() < _DEAD
    ]
    found += [
        f"{name}: {said}."
        for name in evidence.models
        if (said := evidence.state(name).get("chosen")) is not None
    ]
    for first, second in evidence.same_file():
        found.append(f"{first} and {second} are the same file: of course they share everything.")
    names = evidence.compared
    if "control" in names and not {names["after"], names["control"]} <= evidence.courses.keys():
        found.append(
            f"Fewer than 3 checkpoints of {names['after']} or {names['control']}: F3 cannot be judged."
        )
    accuracy = {role: findings["models"][name]["accuracy"]["mean"] for role, name in names.items()}
    for role in ("after", "before"):
        if "control" in names and accuracy[role] < accuracy["control"]:
            found.append(
                f"{names[role]} is less accurate than {names['control']}: check its weights and head."
            )
    if accuracy["after"] < accuracy["before"]:
        found.append(f"{names['after']} is less accurate than {names['before']}.")
    return found


def _missing_text(missing: Json) -> str:
    parts = [
        f"{missing['interactions']} of {missing['of']} pairs of checkpoint and sample failed and are missing."
    ]
    for what in ("checkpoints", "samples"):
        if missing[what]:
            parts.append(f"Left out for it: {what} {', '.join(missing[what])}.")
    if not missing["interactions"] and not missing["checkpoints"]:
        parts = []  # retests alone are missing
    for name, count in missing["retests"].items():
        parts.append(f"The retest of {name} failed on {count} of its samples.")
    if missing["failures"]:
        parts.append(f"The first error: {missing['failures'][0]['error']}")
    return " ".join(parts)
