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
from bequeath.files import write_whole
from bequeath.models import build, load_model
from bequeath.models.heads import find_heads
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.study.config import ModelConfig, StudyConfig, checkpoint_files
from bequeath.study.config.training import Disturbance, RunSection
from bequeath.study.folder import claim, only_one
from bequeath.study.loading import Materials
from bequeath.study.progress import Bars
from bequeath.training.disturb import THIRDS, ShuffledLabels, reinitialise
from bequeath.training.parts import freeze, only_heads, with_lora
from bequeath.training.schedule import UNFINISHED, Schedule

_SETTINGS = "training.yaml"
RUNS = ("finetuned", "scratch")
_PRETRAINED = "pretrained"


def train(config: StudyConfig, out: Path, shown: Bars) -> list[Path]:
    """Train both models for each seed into ``out/seed-K/finetuned`` and ``out/seed-K/scratch``, or go on with it.

    Where the study asks for it, the pre-trained model is trained first (``out/pretrained``), and further fine-tuned
    ones from disturbed starts (``out/seed-K/disturbed-early``, ...).

    Returns
    -------
    list of Path
        ``out/seed-K/study.yaml``: the study on what was trained, to be run; each followed by its disturbed ones,
        ``out/seed-K/disturbed-early.yaml``, ...

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
        trainer = _Trainer(config, out, shown)
        trainer.pretrain()
        return [file for seed in config.training.seeds for file in trainer.seed(seed)]


def disturbed_name(disturbance: Disturbance) -> str:
    """Name of a disturbed model's folder, and of its study file."""
    return f"disturbed-{disturbance}"


def _keep_settings(config: StudyConfig, out: Path) -> None:
    """What is trained there, once and for all: runs of other settings would stand side by side unnoticed."""
    content = config.model_dump(mode="json", include={"models", "data", "training", "value"})
    for more in ("seeds", "disturbed"):
        content["training"].pop(more)  # only more runs
    text, place = yaml.safe_dump(content, sort_keys=False), out / _SETTINGS
    if place.exists() and place.read_text(encoding="utf-8") != text:
        raise BequeathError(f"{place}: other settings were trained in this folder; choose another --out")
    write_whole(place, text)


class _Trainer:
    """A study's training in a folder that is this process's own."""

    def __init__(self, config: StudyConfig, out: Path, shown: Bars) -> None:
        assert config.training is not None
        self.config, self.training, self.out, self.shown = config, config.training, out, shown
        self.materials = Materials(config)
        self.data = self._samples()
        self.pretrained = config.models.pretrained
        self.shuffled: str | None = None

    def pretrain(self) -> None:
        """Train the pre-trained model, where the study asks for it; and one on shuffled labels, if it is needed."""
        if self.training.pretraining is None:
            return
        weights = self._pretrain(_PRETRAINED, shuffled=False)
        self.pretrained = self.pretrained.model_copy(update={"weights": weights})
        if "shuffled" in self.training.disturbed:
            self.shuffled = self._pretrain(f"{_PRETRAINED}-shuffled", shuffled=True)

    def _samples(self) -> Dataset:
        materials = self.materials
        if materials.train is None:
            raise BequeathError(
                "data.train: needed to train on; name the training data, or hold some out (holdout)"
            )
        if materials.outputs is None:
            raise BequeathError(
                "training: language models read by next_token are not trained here; see docs/own-training.md"
            )
        if materials.outputs == 1 and materials.data.modality == "text":
            raise BequeathError("training: texts need a logit for each class; leave value: binary_logit out")
        return _some(materials.train, self.training.samples, self.config.seed)

    def _pretrain(self, name: str, shuffled: bool) -> str:
        """Train the pre-trained model into a folder, unless that is done; gives its state file."""
        section, model = self.training.pretraining, self.config.models.pretrained
        assert section is not None
        own = preprocessing_of(model.architecture, None) if self.materials.data.modality == "image" else None
        _, whole = section.data.load(own, self.config.seed)
        if whole is None or whole.modality != self.materials.data.modality:
            raise BequeathError(
                f"training.pretraining.data: needs training data of kind {self.materials.data.modality}, as the study's"
            )
        data = _some(whole, section.samples, self.config.seed)
        if shuffled:
            data = ShuffledLabels(data, self.config.seed)
        schedule, folder = section.schedule(len(data)), self.out / name
        tick = self.shown.bar(name, schedule.steps)
        if _is_finished(folder, schedule.steps):
            tick(schedule.steps)
        else:
            with torch.random.fork_rng():
                torch.manual_seed(self.config.seed)
                net = build(model.architecture, len(data.classes), data.modality, **model.options)
            kept = {"architecture": model.architecture, "options": model.options}
            self._fit(net, data, schedule, folder, self.config.seed, tick, kept)
        return str(_end(folder, schedule.steps))

    def seed(self, seed: int) -> list[Path]:
        """Train all models of one seed; gives the study files to run."""
        folder, ends = self.out / f"seed-{seed}", {}
        names = [*RUNS, *map(disturbed_name, self.training.disturbed)]
        for name in names:
            schedule = self.training.schedule(name, len(self.data))
            tick = self.shown.bar(f"{name}, seed {seed}", schedule.steps)
            if _is_finished(folder / name, schedule.steps):
                tick(schedule.steps)
            else:
                self._train(name, seed, folder / name, schedule, tick)
            ends[name] = _end(folder / name, schedule.steps)
        content = self.config.model_dump(mode="json", exclude={"training"})
        if self.training.pretraining is not None:
            assert self.pretrained.weights is not None
            content["models"]["pretrained"]["weights"] = (
                f"../{_PRETRAINED}/{Path(self.pretrained.weights).name}"
            )
        for name in RUNS:
            content["models"][name] = name  # the folder beside
        files = [self._write(folder / "study.yaml", content, f"seed {seed}")]
        # Of the other models, the end alone is needed beside a disturbed one.
        content["models"]["scratch"] = {
            **self.config.models.scratch.model_dump(mode="json", include={"architecture", "options"}),
            "checkpoints": [f"scratch/{ends['scratch'].name}"],
        }
        for disturbance in self.training.disturbed:
            name = disturbed_name(disturbance)
            content["models"]["finetuned"] = name
            files.append(self._write(folder / f"{name}.yaml", content, f"seed {seed}, {disturbance}"))
        return files

    def _write(self, file: Path, content: dict[str, Any], which: str) -> Path:
        named = {**content, "name": f"{self.config.name}, {which}"}
        write_whole(file, yaml.safe_dump(named, sort_keys=False))
        return file

    def _train(
        self, name: str, seed: int, folder: Path, schedule: Schedule, tick: Callable[[int], None]
    ) -> None:
        run = self.training.scratch if name == "scratch" else self.training.finetuned
        own = self.config.all_models()["scratch" if name == "scratch" else "finetuned"]
        assert self.materials.outputs is not None
        form = (own.architecture, self.materials.outputs, self.data.modality)
        kept: dict[str, Any] = {"architecture": own.architecture, "options": own.options}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if name == "scratch":
                model = build(*form, **own.options)
            else:
                weights = checkpoint_files(self.pretrained, "models.pretrained")[-1][2]
                model = self._start(own, self.shuffled if name == disturbed_name("shuffled") else weights)
                kept["base"] = weights
            for third in THIRDS:
                if name == disturbed_name(third):
                    reinitialise(model, build(*form, **own.options), third)
            if name == disturbed_name("frozen"):
                run = run.model_copy(update={"freeze": None, "head_only": True})
            model = _part(model, run)
        if not hasattr(model, "peft_config"):
            kept.pop("base", None)
        self._fit(model, self.data, schedule, folder, seed, tick, kept)

    def _start(self, own: ModelConfig, weights: str | None) -> nn.Module:
        """A pre-trained backbone under a head at a random start (torch's generator)."""
        assert self.materials.outputs is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the head is new is meant
            model = load_model(
                own.architecture,
                weights,
                self.materials.outputs,
                self.data.modality,
                new_head=True,
                **own.options,
            )
        for head in find_heads(model):
            model.get_submodule(head).reset_parameters()  # type: ignore[operator]
        return model

    def _fit(
        self,
        model: nn.Module,
        data: Dataset,
        schedule: Schedule,
        folder: Path,
        seed: int,
        tick: Callable[[int], None],
        kept: dict[str, Any],
    ) -> None:
        if data.modality == "text":
            from bequeath.training.fit_text import fit_text

            tokenizer = self.materials.tokenizer
            model.config.pad_token_id = tokenizer.pad_token_id  # type: ignore[union-attr]
            prompt = self.config.data.prompt  # type: ignore[union-attr]
            fit_text(model, data, tokenizer, schedule, folder, seed, prompt, tick, **kept)
            return
        from bequeath.training.fit import fit

        fit(model, data, schedule, folder, seed, tick, **kept)


def _some(data: Dataset, samples: int | None, seed: int) -> Dataset:
    """Samples of a data set, balanced over classes; all of them where no number is given."""
    if samples is None:
        return data
    some = balanced(data, samples, seed)
    return Subset(data, some, f"{len(some)} of {data.source}")


def _end(folder: Path, steps: int) -> Path:
    """A run's last checkpoint: a file, or an adapter's folder."""
    last = folder / f"step-{steps:06d}"
    return last if last.is_dir() else last.with_suffix(".safetensors")


def _is_finished(folder: Path, steps: int) -> bool:
    return not (folder / UNFINISHED).exists() and _end(folder, steps).exists()


def _part(model: nn.Module, run: RunSection) -> nn.Module:
    if run.freeze is not None:
        freeze(model, run.freeze)
    if run.head_only:
        only_heads(model)
    return model if run.lora is None else with_lora(model, **run.lora.model_dump())
