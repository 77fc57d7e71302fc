"""A run's identity: everything that its results depend on. It shows what changed in a study and what stays valid."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from bequeath.data.samples import Sample
from bequeath.models.hub import hub_entry
from bequeath.models.state_files import chosen_set
from bequeath.study.config import ModelConfig, StudyConfig
from bequeath.study.config.own import own_names, source_of
from bequeath.study.loading.digests import file_digest, key_of
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan

Json = dict[str, Any]


def _sample_digest(sample: Sample) -> str:
    x = sample.x.numpy().tobytes() if isinstance(sample.x, Tensor) else sample.x.encode()
    return hashlib.sha256(x + b"\0" + str(sample.label).encode()).hexdigest()[:16]


def identity(parts: StudyParts, plan: Plan) -> Json:
    """Collect everything that value tables, accuracies and interactions depend on.

    Returns
    -------
    dict
        ``game``: by topic, what all tables depend on; ``checkpoints``: by label, the model's settings and digests;
        ``samples``: by id, the sample's digest; ``accuracy``: a digest of the accuracy samples; ``decomposition``;
        ``masks``: their number, None for all 2**n; ``dtype``; ``retest``, if there is one: its checkpoints and samples.
    """
    inputs, games, config = parts.inputs, parts.games, parts.games.config
    models = config.models
    bases = {name: file_digest(model.base) for name, model in models.items()}
    # Probes and the data set's mean depend on the training data, which are identified by ids and labels.
    train = None
    if inputs.train is not None:
        train = key_of(list(inputs.train.ids), inputs.train.labels)
    # Users' own functions are identified by the content of their modules.
    own = _sources(config.players, config.baseline, config.value)
    sampling = config.sampling if config.decomposition.sparse else None
    game = {
        "data": config.data.model_dump(mode="json", exclude={"path", "train"}),
        "players": config.players.model_dump(mode="json"),
        "baseline": config.model_dump(mode="json", include={"baseline"})["baseline"],
        "value": config.value,
        "autocast": config.evaluation.autocast,
        "seed": config.seed,
        "masks": None if sampling is None else [sampling.design, sampling.shown],
        "training data": train if config.baseline == "dataset_mean" else None,
        "files": [
            file_digest(path) for path in (*config.players.paths().values(), *_given(config.baseline), *own)
        ],
        # Players that are chosen by influence depend on all models.
        "influence": [file_digest(plan.checkpoints[i].file) for i in plan.finals.values()]
        if games.choosing
        else None,
    }
    checkpoints = {
        checkpoint.label: {
            "model": models[checkpoint.model].model_dump(
                mode="json", exclude={"weights", "checkpoints", "base", "labels", "weights_key"}
            ),
            **({} if (order := parts.outputs.order(checkpoint)) is None else {"outputs": order}),
            "state": file_digest(checkpoint.file),
            "base": bases[checkpoint.model],
            "training data": train if models[checkpoint.model].probe else None,
            **_set(models[checkpoint.model], checkpoint.file),
            **(_other_game(config, train) if checkpoint.retest else {}),
        }
        for checkpoint in plan.checkpoints
    }
    samples = {sample.id: _sample_digest(sample) for sample in (inputs.data[i] for i in plan.samples)}
    decomposition = config.decomposition.model_dump(mode="json")
    if config.decomposition.kind == "joint":
        # In a joint split, each checkpoint depends on all others.
        decomposition["jointly"] = key_of(checkpoints)
    content = {
        "game": game,
        "checkpoints": checkpoints,
        "samples": samples,
        "accuracy": key_of(plan.accuracy_samples, list(inputs.data.ids), inputs.data.labels),
        "decomposition": decomposition,
        "masks": None if sampling is None else [sampling.number, sampling.limit],
        "dtype": config.store.dtype,
    }
    if config.retest is not None:
        content["retest"] = {
            "checkpoints": [plan.checkpoints[i].label for i in plan.retests.values()],
            "samples": [inputs.data[i].id for i in plan.retest_samples],
        }
    plain: Json = json.loads(json.dumps(content))
    return plain


def _set(model: ModelConfig, file: str | None) -> Json:
    """The set of weights that is taken, if a file holds several or the user chose one; else nothing."""
    weights = model.base if model.base is not None else file
    if weights is None or hub_entry(weights) is not None:
        return {}
    chosen = chosen_set(weights, model.weights_key)
    return (
        {} if chosen is None else {"set": chosen.taken, "chosen": chosen.description if chosen.why else None}
    )


def _other_game(config: StudyConfig, train: str | None) -> Json:
    """What the tables of a retest depend on in addition."""
    retest = config.retest
    assert retest is not None
    return {
        "game": retest.model_dump(mode="json", exclude={"samples"}),
        "mean of": train if retest.baseline == "dataset_mean" else None,
        "files": [file_digest(path) for path in (*_given(retest.baseline), *_sources(retest.baseline))],
    }


def _sources(*settings: Any) -> list[Path]:
    return [source for name in own_names(*settings) if (source := source_of(name)) is not None]


def _given(baseline: Any) -> list[Path]:
    path = getattr(baseline, "path", None)
    return [] if path is None else [path]
