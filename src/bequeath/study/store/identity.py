"""A run's identity: everything that its results depend on. It shows what changed in a study and what stays valid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from bequeath.data.samples import Sample
from bequeath.models.hub import hub_entry
from bequeath.models.state_files import chosen_set
from bequeath.study.config import ModelConfig, StudyConfig
from bequeath.study.config.own import own_names, source_of
from bequeath.study.loading.digests import file_digest, key_of
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Checkpoint, Plan

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
    # Users' own functions are identified by the content of their modules.
    own = _sources(config.players, config.baseline, config.value)
    sampling = config.sampling if config.decomposition.sparse else None
    digest = cache(file_digest)  # checkpoints of a run share their base
    game = {
        "data": data_identity(config),
        "players": config.players.model_dump(mode="json"),
        "baseline": config.model_dump(mode="json", include={"baseline"})["baseline"],
        "value": config.value,
        "autocast": config.evaluation.autocast,
        "seed": config.seed,
        "masks": None if sampling is None else [sampling.design, sampling.shown],
        "training data": _training_data(inputs) if config.baseline == "dataset_mean" else None,
        "files": [
            digest(path) for path in (*config.players.paths().values(), *_given(config.baseline), *own)
        ],
        # Players that are chosen by influence depend on all models.
        "influence": [digest(plan.checkpoints[i].file) for i in plan.finals.values()]
        if games.choosing
        else None,
    }
    checkpoints = {c.label: checkpoint_identity(parts, c, digest) for c in plan.checkpoints}
    samples = {sample.id: _sample_digest(sample) for sample in (inputs.data[i] for i in plan.samples)}
    decomposition = config.decomposition.model_dump(mode="json")
    if config.decomposition.kind == "joint":
        # In a joint split, each checkpoint depends on all others.
        decomposition["jointly"] = key_of(checkpoints)
    content = {
        "game": game,
        "checkpoints": checkpoints,
        "samples": samples,
        "accuracy": accuracy_identity(parts, plan),
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


def data_identity(config: StudyConfig) -> Json:
    """The settings of the data, without paths."""
    return config.data.model_dump(mode="json", exclude={"path", "train"})


def accuracy_identity(parts: StudyParts, plan: Plan) -> str:
    """A digest of the accuracy samples."""
    data = parts.inputs.data
    return key_of(plan.accuracy_samples, list(data.ids), data.labels)


def checkpoint_identity(
    parts: StudyParts, checkpoint: Checkpoint, digest: Callable[[str | None], str | None] = file_digest
) -> Json:
    """Everything that the results of one checkpoint depend on, beside the game and the samples."""
    config = parts.games.config
    model = config.models[checkpoint.model]
    order = parts.outputs.order(checkpoint)
    return {
        "model": model.model_dump(
            mode="json", exclude={"weights", "checkpoints", "base", "labels", "weights_key"}
        ),
        **({} if order is None else {"outputs": order}),
        "state": digest(checkpoint.file),
        "base": digest(model.base),
        "training data": _training_data(parts.inputs) if model.probe else None,
        **_set(model, checkpoint.file),
        **(_other_game(config, parts.inputs) if checkpoint.retest else {}),
    }


def _training_data(inputs: StudyInputs) -> str | None:
    """A digest of the training data's ids and labels, for probes and for the data set's mean."""
    return None if inputs.train is None else key_of(list(inputs.train.ids), inputs.train.labels)


def _set(model: ModelConfig, file: str | None) -> Json:
    """The set of weights that is taken, if a file holds several or the user chose one; else nothing."""
    weights = model.base if model.base is not None else file
    if weights is None or hub_entry(weights) is not None:
        return {}
    chosen = chosen_set(weights, model.weights_key)
    return (
        {} if chosen is None else {"set": chosen.taken, "chosen": chosen.description if chosen.why else None}
    )


def _other_game(config: StudyConfig, inputs: StudyInputs) -> Json:
    """What the tables of a retest depend on in addition."""
    retest = config.retest
    assert retest is not None
    return {
        "game": retest.model_dump(mode="json", exclude={"samples"}),
        "mean of": _training_data(inputs) if retest.baseline == "dataset_mean" else None,
        "files": [file_digest(path) for path in (*_given(retest.baseline), *_sources(retest.baseline))],
    }


def _sources(*settings: Any) -> list[Path]:
    return [source for name in own_names(*settings) if (source := source_of(name)) is not None]


def _given(baseline: Any) -> list[Path]:
    path = getattr(baseline, "path", None)
    return [] if path is None else [path]
