"""`bequeath train`: the models that a study asks for, for each seed, and a study file for each to run."""

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
from bequeath.models.architectures import SOURCES
from bequeath.models.heads import find_heads
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.study.config import ModelConfig, StudyConfig, checkpoint_files
from bequeath.study.config.training import Disturbance, RunSection
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.progress import Bars
from bequeath.study.store.folder import claim, only_one
from bequeath.training.disturb import THIRDS, ShuffledLabels, reinitialise
from bequeath.training.parts import freeze, only_heads, with_lora
from bequeath.training.schedule import UNFINISHED, Schedule

_SETTINGS = "training.yaml"


def train(config: StudyConfig, out: Path, shown: Bars) -> list[Path]:
    """Train the study's models for each seed into ``out/seed-K/NAME``, or go on with it.

    Where the study asks for it, the model before is trained first (``out/NAME``), and further models like the one after
    from disturbed starts (``out/seed-K/disturbed-early``, ...).

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
        for seed in config.training.seeds:
            trainer.seed(seed)
        return [file for seed in config.training.seeds for file in trainer.write(seed)]


def disturbed_name(disturbance: Disturbance) -> str:
    """Name of a disturbed model's folder, and of its study file."""
    return f"disturbed-{disturbance}"


def _keep_settings(config: StudyConfig, out: Path) -> None:
    """What is trained there, once and for all: runs of other settings would stand side by side unnoticed."""
    content = config.model_dump(mode="json", include={"models", "data", "training", "value"})
    for more in ("seeds", "disturbed"):
        content["training"].pop(more)  # only more runs
    text, place = yaml.safe_dump(content, sort_keys=False), out / _SETTINGS
    begun = next(out.rglob("step-*"), None) or next(out.rglob(f"{UNFINISHED}/*"), None)
    # A first start that failed has trained nothing, and its settings bind nobody.
    if begun and place.exists() and place.read_text(encoding="utf-8", errors="replace") != text:
        raise BequeathError(f"{place}: other settings were trained in this folder; choose another --out")
    write_whole(place, text)


class _Trainer:
    """A study's training in a folder that is this process's own."""

    def __init__(self, config: StudyConfig, out: Path, shown: Bars) -> None:
        assert config.training is not None
        self.config, self.training, self.out, self.shown = config, config.training, out, shown
        self.roles = config.roles
        self.inputs = StudyInputs(config)
        self.data = self._samples()
        self.before = config.models[self.roles.before]
        self.shuffled: str | None = None

    def pretrain(self) -> None:
        """Train the model before, where the study asks for it; and one on shuffled labels, if it is needed."""
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
                "data.train: needed to train on; name the training data, or hold some out (holdout)"
            )
        if inputs.outputs is None:
            raise BequeathError(
                "training: language models read by next_token are not trained here; see docs/own-training.md"
            )
        if inputs.outputs == 1 and inputs.modality == "text":
            raise BequeathError("training: texts need a logit for each class; leave value: binary_logit out")
        return _some(inputs.train, self.training.samples, self.config.seed)

    def _pretrain(self, name: str, shuffled: bool) -> str:
        """Train the model before into a folder, unless that is done; gives its state file."""
        section, model = self.training.pretraining, self.before
        assert section is not None
        own = preprocessing_of(model.architecture, None) if self.inputs.modality == "image" else None
        _, whole = section.data.load(own, self.config.seed)
        if whole is None or whole.modality != self.inputs.modality:
            raise BequeathError(
                f"training.pretraining.data: needs training data of {self.inputs.modality}s, as the study's"
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
        """Of every model that is trained; of a disturbed one, only the end is kept."""
        runs, count = self.training.runs, len(self.data)
        found = {name: self.training.schedule(run, count) for name, run in runs.items()}
        for disturbance in self.training.disturbed:
            found[disturbed_name(disturbance)] = self.training.schedule(
                runs[self.roles.after], count, end_only=True
            )
        return found

    def write(self, seed: int) -> list[Path]:
        """The study files to run of one seed."""
        folder, schedules = self.out / f"seed-{seed}", self._schedules()
        content = self.config.model_dump(mode="json", exclude={"training"})
        if self.training.pretraining is not None:
            assert self.before.weights is not None
            name = self.roles.before
            content["models"][name]["weights"] = f"../{name}/{Path(self.before.weights).name}"
        for name in self.training.runs:
            content["models"][name] = self._series(name, name)
        if self.training.twins:
            self._add_twins(content, seed)
        files = [self._write(folder / "study.yaml", content, f"seed {seed}")]
        # Of the other models, the end alone is needed beside a disturbed one.
        for name in self.training.runs:
            content["models"][name] = self._last(name, folder, schedules[name], Path(name))
        for disturbance in self.training.disturbed:
            name = disturbed_name(disturbance)
            content["models"][self.roles.after] = self._series(self.roles.after, name)
            files.append(self._write(folder / f"{name}.yaml", content, f"seed {seed}, {disturbance}"))
        return files

    def _series(self, name: str, folder: str) -> str | dict[str, Any]:
        """A trained model's checkpoints: the folder beside, which says itself all that a data file may say."""
        own, key = self.config.models[name], self.before.weights_key
        told: dict[str, Any] = {**self._labels(name)}
        if own.architecture.partition(":")[0] not in SOURCES:
            told["architecture"] = own.architecture
        if key is not None and self.training.runs[name].lora is not None:
            told["weights_key"] = key
        return {**told, "checkpoints": folder} if told else folder

    def _last(self, name: str, folder: Path, schedule: Schedule, shown: Path) -> dict[str, Any]:
        """A trained model's last checkpoint, as a study file tells it; `shown` is its folder from there."""
        told = self.config.models[name].model_dump(mode="json", include={"architecture", "options"})
        end = _end(folder / name, schedule.steps)
        base = {"base": self._weights} if end.is_dir() else {}
        if base and self.before.weights_key is not None:
            base["weights_key"] = self.before.weights_key
        return {**told, **base, **self._labels(name), "checkpoints": [str(shown / end.name)]}

    def _labels(self, name: str) -> dict[str, list[str]]:
        """Trained heads have the data's order, whatever the names in the config that they began with."""
        named = self.config.models[name].architecture.startswith("transformers:")
        return {"labels": list(self.inputs.classes)} if named and self.inputs.outputs != 1 else {}

    @property
    def _weights(self) -> str | None:
        return checkpoint_files(self.before, f"models.{self.roles.before}")[-1][2]

    def _add_twins(self, content: dict[str, Any], seed: int) -> None:
        """The next seed's models, as twins of those with a role."""
        seeds = self.training.seeds
        other = seeds[(seeds.index(seed) + 1) % len(seeds)]
        for role in ("after", "control"):
            name = getattr(self.roles, role)
            if name in self.training.runs:
                twin, place = f"{name} seed {other}", Path("..", f"seed-{other}")
                content["models"][twin] = self._last(
                    name, self.out / f"seed-{other}", self._schedules()[name], place / name
                )
                content["roles"]["twins"].setdefault(role, []).append(twin)

    def _write(self, file: Path, content: dict[str, Any], which: str) -> Path:
        named = {**content, "name": f"{self.config.name}, {which}"}
        write_whole(file, yaml.safe_dump(named, sort_keys=False))
        return file

    def _train(
        self, name: str, seed: int, folder: Path, schedule: Schedule, tick: Callable[[int], None]
    ) -> None:
        runs = self.training.runs
        like = name if name in runs else self.roles.after  # disturbed ones are like the one after
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
                    model = self._start(own, self._weights, self.before.weights_key)
                kept["base"] = self._weights
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
        """The backbone before under a head at a random start (torch's generator)."""
        assert self.inputs.outputs is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the head is new is meant
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
