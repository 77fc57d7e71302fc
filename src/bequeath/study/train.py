"""`bequeath train`: trains the models that a study names, for each seed, and writes study files that compare them."""

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
from bequeath.games.inputs import config_of
from bequeath.models import build, load_model
from bequeath.models.heads import find_heads
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.study.config import ModelConfig, StudyConfig
from bequeath.study.config.training import RunSection
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.progress import Bars
from bequeath.study.store.folder import claim, only_one
from bequeath.study.trained import StudyFiles, disturbed_name, last_checkpoint, trained_weights
from bequeath.training.disturb import THIRDS, ShuffledLabels, reinitialise
from bequeath.training.parts import freeze, only_heads, with_lora
from bequeath.training.schedule import UNFINISHED, Schedule

_SETTINGS = "training.yaml"


def train(config: StudyConfig, out: Path, shown: Bars) -> list[Path]:
    """Train the study's models for each seed into ``out/seed-K/NAME``, or continue there.

    If the study asks for it, the model before is trained first (``out/NAME``), and more models like the one after are
    trained from disturbed starts (``out/seed-K/disturbed-early``, ...).

    Parameters
    ----------
    config : StudyConfig
        With a `training` section.
    out : Path
        Folder of the trained models.
    shown : Bars
        Shows the progress.

    Returns
    -------
    list of Path
        The study files to run: for each seed ``out/seed-K/study.yaml``, followed by those of its disturbed models,
        ``out/seed-K/disturbed-early.yaml``, ...

    Raises
    ------
    BequeathError
        If the study has no `training`, its models cannot be trained here, or the folder holds the training of other
        settings.
    """
    if config.training is None:
        raise BequeathError("training: missing in the study file; bequeath init shows this section")
    out = out.resolve()
    claim(out)
    with only_one(out):
        _keep_settings(config, out)
        trainer = _Trainer(config, out, shown)
        trainer.pretrain()
        for seed in config.training.seeds:
            trainer.seed(seed)
        files = trainer.study_files()
        return [file for seed in config.training.seeds for file in files.write(seed)]


def _keep_settings(config: StudyConfig, out: Path) -> None:
    """Record the settings in the folder. Other settings are refused later, so that a folder never mixes them."""
    content = config.model_dump(mode="json", include={"models", "data", "training", "value"})
    for more in ("seeds", "disturbed"):
        content["training"].pop(more)  # only more runs
    text, file = yaml.safe_dump(content, sort_keys=False), out / _SETTINGS
    has_trained = next(out.rglob("step-*"), None) or next(out.rglob(f"{UNFINISHED}/*"), None)
    # If an earlier start failed before it trained anything, its settings do not count.
    if has_trained and file.exists() and file.read_text(encoding="utf-8", errors="replace") != text:
        raise BequeathError(
            f"{file}: this folder holds models trained with other settings; choose another --out"
        )
    write_whole(file, text)


class _Trainer:
    """A study's training, in a folder that only this process uses."""

    def __init__(self, config: StudyConfig, out: Path, shown: Bars) -> None:
        assert config.training is not None
        self.config, self.training, self.out, self.shown = config, config.training, out, shown
        self.roles = config.roles
        self.inputs = StudyInputs(config)
        self.data = self._samples()
        self.before = config.models[self.roles.before]
        self.shuffled: str | None = None

    def pretrain(self) -> None:
        """Train the model before, if the study asks for it, and one on shuffled labels, if it is needed."""
        if self.training.pretraining is None:
            return
        weights = self._pretrain(self.roles.before, shuffled=False)
        self.before = self.before.model_copy(update={"weights": weights})
        if "shuffled" in self.training.disturbed:
            self.shuffled = self._pretrain(f"{self.roles.before}-shuffled", shuffled=True)

    def _samples(self) -> Dataset:
        inputs = self.inputs
        if inputs.train is None:
            raise BequeathError(
                "data.train: missing, but training needs it; name the training data, or use holdout"
            )
        if inputs.outputs is None:
            raise BequeathError(
                "training: cannot train language models with value: next_token; train them yourself "
                "(docs/own-training.md)"
            )
        if inputs.outputs == 1 and inputs.modality == "text":
            raise BequeathError("training: texts need a logit for each class; leave value: binary_logit out")
        return _chosen(inputs.train, self.training.samples, self.config.seed)

    def _pretrain(self, name: str, shuffled: bool) -> str:
        """Train the model before in its folder, unless that is done, and return its state file."""
        section, model = self.training.pretraining, self.before
        assert section is not None
        own = preprocessing_of(model.architecture, None) if self.inputs.modality == "image" else None
        _, whole = section.data.load(own, self.config.seed)
        if whole is None or whole.modality != self.inputs.modality:
            raise BequeathError(
                f"training.pretraining.data: has no training data of {self.inputs.modality}s, which the study's data "
                "are; give such data"
            )
        data = _chosen(whole, section.samples, self.config.seed)
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
        return str(last_checkpoint(folder, schedule.steps))

    def seed(self, seed: int) -> None:
        """Train all models of one seed."""
        folder = self.out / f"seed-{seed}"
        for name, schedule in self._schedules().items():
            tick = self.shown.bar(f"{name}, seed {seed}", schedule.steps)
            if _is_finished(folder / name, schedule.steps):
                tick(schedule.steps)
            else:
                self._train(name, seed, folder / name, schedule, tick)

    def _schedules(self) -> dict[str, Schedule]:
        """The schedule of each model that is trained. Of a disturbed model, only the last step is saved."""
        runs, count = self.training.runs, len(self.data)
        schedules = {name: self.training.schedule(run, count) for name, run in runs.items()}
        for disturbance in self.training.disturbed:
            schedules[disturbed_name(disturbance)] = self.training.schedule(
                runs[self.roles.after], count, end_only=True
            )
        return schedules

    def study_files(self) -> StudyFiles:
        """Writes the study files of the trained models."""
        labels = None if self.inputs.outputs == 1 else list(self.inputs.classes)
        return StudyFiles(self.config, self.out, self.before, labels, self._schedules())

    def _train(
        self, name: str, seed: int, folder: Path, schedule: Schedule, tick: Callable[[int], None]
    ) -> None:
        runs = self.training.runs
        like = name if name in runs else self.roles.after  # a disturbed model is trained like the model after
        run, own = runs[like], self.config.models[like]
        assert self.inputs.outputs is not None
        form = (own.architecture, self.inputs.outputs, self.data.modality)
        kept: dict[str, Any] = {"architecture": own.architecture, "options": own.options}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if self.config.starts_at_random(like):
                model = build(*form, **own.options)
            else:
                if name == disturbed_name("shuffled"):
                    model = self._start(own, self.shuffled, None)
                else:
                    model = self._start(
                        own, trained_weights(self.before, self.roles.before), self.before.weights_key
                    )
                kept["base"] = trained_weights(self.before, self.roles.before)
            for third in THIRDS:
                if name == disturbed_name(third):
                    reinitialise(model, build(*form, **own.options), third)
            if name == disturbed_name("frozen"):
                run = run.model_copy(update={"freeze": None, "head_only": True})
            model = _part(model, run)
        if not hasattr(model, "peft_config"):
            kept.pop("base", None)
        self._fit(model, self.data, schedule, folder, seed, tick, kept)

    def _start(self, own: ModelConfig, weights: str | None, key: str | None) -> nn.Module:
        """The model before's backbone with a random head, drawn from torch's generator."""
        assert self.inputs.outputs is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the new head is intended
            model = load_model(
                own.architecture,
                weights,
                self.inputs.outputs,
                self.data.modality,
                new_head=True,
                weights_key=key,
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

            tokenizer = self.inputs.tokenizer
            if (config := config_of(model)) is not None:
                config.pad_token_id = tokenizer.pad_token_id
            fit_text(model, data, tokenizer, schedule, folder, seed, self.inputs.prompt, tick, **kept)
            return
        from bequeath.training.fit import fit

        fit(model, data, schedule, folder, seed, tick, **kept)


def _chosen(data: Dataset, samples: int | None, seed: int) -> Dataset:
    """Some samples of a data set, balanced over classes; all if no number is given."""
    if samples is None:
        return data
    indices = balanced(data, samples, seed)
    return Subset(data, indices, f"{len(indices)} of {data.source}")


def _is_finished(folder: Path, steps: int) -> bool:
    return not (folder / UNFINISHED).exists() and last_checkpoint(folder, steps).exists()


def _part(model: nn.Module, run: RunSection) -> nn.Module:
    if run.freeze is not None:
        freeze(model, run.freeze)
    if run.head_only:
        only_heads(model)
    return model if run.lora is None else with_lora(model, **run.lora.model_dump())
