"""What a run's numbers depend on, topic by topic: by it a changed study is noticed, and what still holds is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from bequeath.data.samples import Sample
from bequeath.knowledge.regions import MODELS
from bequeath.study.loading import Materials
from bequeath.study.plan import Plan
from bequeath.study.store.digests import file_digest, key_of

Json = dict[str, Any]


def _sample_digest(sample: Sample) -> str:
    x = sample.x.numpy().tobytes() if isinstance(sample.x, Tensor) else sample.x.encode()
    return hashlib.sha256(x + b"\0" + str(sample.label).encode()).hexdigest()[:16]


def identity(materials: Materials, plan: Plan) -> Json:
    """What each value table, each accuracy and each set of interactions depends on.

    Returns
    -------
    dict
        ``game``: by topic, what all tables depend on; ``checkpoints``: by label, what the model is; ``samples``: by
        id, what the sample is; ``accuracy``: which samples accuracies are measured on; ``decomposition``; ``dtype``.
    """
    config = materials.config
    models = config.all_models()
    bases = {name: file_digest(model.base) for name, model in models.items()}
    # A probe and a data set's mean are made from training data, which its ids and labels stand for.
    train = None
    if materials.train is not None:
        train = key_of(getattr(materials.train, "ids", None), materials.train.labels)
    game = {
        "data": config.data.model_dump(mode="json", exclude={"path", "train"}),
        "players": config.players.model_dump(mode="json"),
        "baseline": config.model_dump(mode="json", include={"baseline"})["baseline"],
        "value": config.value,
        "autocast": config.evaluation.autocast,
        "seed": config.seed,
        "training data": train if config.baseline == "dataset_mean" else None,
        "files": [file_digest(path) for path in (*config.players.paths().values(), *_given(config.baseline))],
        # Cells that the models choose depend on all three.
        "influence": _finals(plan) if materials.choosing else None,
    }
    checkpoints = {
        checkpoint.label: {
            "model": models[checkpoint.model].model_dump(
                mode="json", exclude={"weights", "checkpoints", "base"}
            ),
            "state": file_digest(checkpoint.file),
            "base": bases[checkpoint.model],
            "training data": train if models[checkpoint.model].probe else None,
        }
        for checkpoint in plan.checkpoints
    }
    samples = {sample.id: _sample_digest(sample) for sample in (materials.data[i] for i in plan.samples)}
    ids = getattr(materials.data, "ids", None)
    found = {
        "game": game,
        "checkpoints": checkpoints,
        "samples": samples,
        "accuracy": key_of(plan.accuracy_samples, ids, materials.data.labels),
        "decomposition": config.decomposition.model_dump(mode="json"),
        "dtype": config.store.dtype,
    }
    plain: Json = json.loads(json.dumps(found))
    return plain


def _given(baseline: Any) -> list[Path]:
    path = getattr(baseline, "path", None)
    return [] if path is None else [path]


def _finals(plan: Plan) -> list[str | None]:
    return [file_digest(plan.checkpoints[plan.of(name)[-1]].file) for name in MODELS]
