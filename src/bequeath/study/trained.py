"""Study files that compare models which `bequeath train` trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bequeath.files import write_whole
from bequeath.models.architectures import SOURCES
from bequeath.study.config import ModelConfig, StudyConfig, checkpoint_files
from bequeath.study.config.training import Disturbance
from bequeath.training.schedule import Schedule


def disturbed_name(disturbance: Disturbance) -> str:
    """Name of a disturbed model's folder, and of its study file."""
    return f"disturbed-{disturbance}"


def last_checkpoint(folder: Path, steps: int) -> Path:
    """The path of a run's last checkpoint: a file, or an adapter's folder."""
    last = folder / f"step-{steps:06d}"
    return last if last.is_dir() else last.with_suffix(".safetensors")


def trained_weights(model: ModelConfig, name: str) -> str | None:
    """The state of a model from which others are trained: its weights, or its last checkpoint."""
    return checkpoint_files(model, f"models.{name}")[-1][2]


class StudyFiles:
    """Writes the study files of a training.

    Parameters
    ----------
    config : StudyConfig
        With a `training` section.
    out : Path
        Folder of the trained models.
    before : ModelConfig
        The model before, with its weights.
    labels : sequence of str or None
        The data's classes, in the order of the trained models' outputs; None for a single output.
    schedules : mapping of str to Schedule
        Of each trained model.
    """

    def __init__(
        self,
        config: StudyConfig,
        out: Path,
        before: ModelConfig,
        labels: Sequence[str] | None,
        schedules: Mapping[str, Schedule],
    ) -> None:
        assert config.training is not None
        self.config, self.training, self.roles = config, config.training, config.roles
        self.out, self.before, self.labels, self.schedules = out, before, labels, schedules

    def write(self, seed: int) -> list[Path]:
        """Write the study files of one seed, and return their paths."""
        folder, schedules = self.out / f"seed-{seed}", self.schedules
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
        # A study of a disturbed model needs only the last checkpoint of the other models.
        for name in self.training.runs:
            content["models"][name] = self._last(name, folder, schedules[name], Path(name))
        for disturbance in self.training.disturbed:
            name = disturbed_name(disturbance)
            content["models"][self.roles.after] = self._series(self.roles.after, name)
            files.append(self._write(folder / f"{name}.yaml", content, f"seed {seed}, {disturbance}"))
        return files

    def _series(self, name: str, folder: str) -> str | dict[str, Any]:
        """The section of a trained model with all its checkpoints: their folder, and what series.json cannot say."""
        own, key = self.config.models[name], self.before.weights_key
        section: dict[str, Any] = {**self._labels(name)}
        if own.architecture.partition(":")[0] not in SOURCES:
            section["architecture"] = own.architecture
        if key is not None and self.training.runs[name].lora is not None:
            section["weights_key"] = key
        return {**section, "checkpoints": folder} if section else folder

    def _last(self, name: str, folder: Path, schedule: Schedule, shown: Path) -> dict[str, Any]:
        """The section of a trained model with its last checkpoint; `shown` is its folder relative to the study file."""
        section = self.config.models[name].model_dump(mode="json", include={"architecture", "options"})
        end = last_checkpoint(folder / name, schedule.steps)
        base = {"base": trained_weights(self.before, self.roles.before)} if end.is_dir() else {}
        if base and self.before.weights_key is not None:
            base["weights_key"] = self.before.weights_key
        return {**section, **base, **self._labels(name), "checkpoints": [str(shown / end.name)]}

    def _labels(self, name: str) -> dict[str, Sequence[str]]:
        """Labels of a transformers model: a trained head has the data's order, but its config may still name others."""
        if self.labels is None or not self.config.models[name].architecture.startswith("transformers:"):
            return {}
        return {"labels": self.labels}

    def _add_twins(self, content: dict[str, Any], seed: int) -> None:
        """Add the next seed's models as twins."""
        seeds = self.training.seeds
        other = seeds[(seeds.index(seed) + 1) % len(seeds)]
        for role in ("after", "control"):
            name = getattr(self.roles, role)
            if name in self.training.runs:
                twin, place = f"{name} seed {other}", Path("..", f"seed-{other}")
                content["models"][twin] = self._last(
                    name, self.out / f"seed-{other}", self.schedules[name], place / name
                )
                content["roles"]["twins"].setdefault(role, []).append(twin)

    def _write(self, file: Path, content: dict[str, Any], which: str) -> Path:
        named = {**content, "name": f"{self.config.name}, {which}"}
        write_whole(file, yaml.safe_dump(named, sort_keys=False))
        return file
