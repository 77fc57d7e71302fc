"""`bequeath train`: a study's fine-tuned and from-scratch models, for each seed, and a study file for each to run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from bequeath.data.samples import Dataset, Subset, balanced
from bequeath.errors import BequeathError
from bequeath.models import build, load_model
from bequeath.models.heads import find_heads
from bequeath.study.config import ModelConfig, StudyConfig, checkpoint_files
from bequeath.study.folder import claim, only_one, write_whole
from bequeath.study.loading import Materials
from bequeath.study.progress import Bars
from bequeath.study.training_config import RunSection
from bequeath.training.parts import freeze, only_heads, with_lora
from bequeath.training.schedule import UNFINISHED, Schedule

_SETTINGS = "training.yaml"
RUNS = ("finetuned", "scratch")


def train(config: StudyConfig, out: Path, shown: Bars) -> list[Path]:
    """Train both models for each seed into ``out/seed-K/finetuned`` and ``out/seed-K/scratch``, or go on with it.

    Returns
    -------
    list of Path
        ``out/seed-K/study.yaml``: the study on what was trained, to be run.

    Raises
    ------
    BequeathError
        If the study has no `training`, its models cannot be trained here, or the folder holds the training of other
        settings.
    """
    if config.training is None:
        raise BequeathError("training: not in the study file; bequeath init shows what it needs")
    out = out.resolve()
    claim(out)
    with only_one(out):
        _keep_settings(config, out)
        materials = Materials(config)
        data = _samples(config, materials)
        return [
            _train_seed(config, materials, data, seed, out / f"seed-{seed}", shown)
            for seed in config.training.seeds
        ]


def _keep_settings(config: StudyConfig, out: Path) -> None:
    """What is trained there, once and for all: runs of other settings would stand side by side unnoticed."""
    content = config.model_dump(mode="json", include={"models", "data", "training", "value"})
    # More seeds are only more runs.
    content["training"].pop("seeds")
    text, place = yaml.safe_dump(content, sort_keys=False), out / _SETTINGS
    if place.exists() and place.read_text(encoding="utf-8") != text:
        raise BequeathError(f"{place}: other settings were trained in this folder; choose another --out")
    write_whole(place, text)


def _samples(config: StudyConfig, materials: Materials) -> Dataset:
    assert config.training is not None
    if materials.train is None:
        raise BequeathError(
            "data.train: needed to train on; name the training data, or hold some out (holdout)"
        )
    if materials.outputs is None:
        raise BequeathError(
            "training: language models read by next_token are not trained here; see docs/own-training.md"
        )
    if materials.outputs == 1 and materials.data.kind == "text":
        raise BequeathError("training: texts need a logit for each class; leave value: binary_logit out")
    if config.training.samples is None:
        return materials.train
    some = balanced(materials.train, config.training.samples, config.seed)
    return Subset(materials.train, some, f"{len(some)} of {materials.train.source}")


def _train_seed(
    config: StudyConfig, materials: Materials, data: Dataset, seed: int, folder: Path, shown: Bars
) -> Path:
    assert config.training is not None
    for name in RUNS:
        schedule = config.training.schedule(name, len(data))
        tick = shown.bar(f"{name}, seed {seed}", schedule.steps)
        if _is_finished(folder / name, schedule.steps):
            tick(schedule.steps)
            continue
        _train_one(config, materials, data, name, seed, folder / name, schedule, tick)
    content = config.model_dump(mode="json", exclude={"training"})
    content["name"] = f"{config.name}, seed {seed}"
    for name in RUNS:
        content["models"][name] = name  # the folder beside
    write_whole(folder / "study.yaml", yaml.safe_dump(content, sort_keys=False))
    return folder / "study.yaml"


def _is_finished(folder: Path, steps: int) -> bool:
    last = folder / f"step-{steps:06d}"
    return not (folder / UNFINISHED).exists() and (last.exists() or last.with_suffix(".safetensors").exists())


def _train_one(
    config: StudyConfig,
    materials: Materials,
    data: Dataset,
    name: str,
    seed: int,
    folder: Path,
    schedule: Schedule,
    tick: Callable[[int], None],
) -> None:
    model_config = config.all_models()[name]
    assert materials.outputs is not None
    start: tuple[Any, ...] = (materials.outputs, data.kind)
    kept: dict[str, Any] = {"architecture": model_config.architecture, "options": model_config.options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if name == "scratch":
            model = build(model_config.architecture, *start, **model_config.options)
        else:
            model, kept["base"] = _pretrained(config.models.pretrained, model_config, *start)
        model = _part(model, getattr(config.training, name))
    if not hasattr(model, "peft_config"):
        kept.pop("base", None)
    if data.kind == "text":
        from bequeath.training.fit_text import fit_text

        model.config.pad_token_id = materials.tokenizer.pad_token_id  # type: ignore[union-attr]
        prompt = config.data.prompt  # type: ignore[union-attr]
        fit_text(model, data, materials.tokenizer, schedule, folder, seed, prompt, tick, **kept)
        return
    from bequeath.training.fit import fit

    fit(model, data, schedule, folder, seed, tick, **kept)


def _pretrained(
    pretrained: ModelConfig, own: ModelConfig, outputs: int, kind: Any
) -> tuple[nn.Module, str | None]:
    """The pre-trained backbone under a head at a random start of this seed, and where its weights lie."""
    weights = checkpoint_files(pretrained, "models.pretrained")[-1][2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the head is new is meant
        model = load_model(own.architecture, weights, outputs, kind, new_head=True, **own.options)
    for head in find_heads(model):
        model.get_submodule(head).reset_parameters()  # type: ignore[operator]
    return model, weights


def _part(model: nn.Module, run: RunSection) -> nn.Module:
    if run.freeze is not None:
        freeze(model, run.freeze)
    if run.head_only:
        only_heads(model)
    return model if run.lora is None else with_lora(model, **run.lora.model_dump())
