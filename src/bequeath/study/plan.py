"""Which models, checkpoints and samples a study needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bequeath.data.samples import Dataset, Subset, balanced
from bequeath.games.players import Text
from bequeath.models.hub import hub_entry
from bequeath.study.config import StudyConfig, checkpoint_files


@dataclass(frozen=True)
class Checkpoint:
    """One state of one of the three models."""

    model: str
    name: str
    step: int | None
    file: str | None
    """State file or folder, or what is asked of the hub."""

    @property
    def label(self) -> str:
        """Coordinate in the store."""
        return f"{self.model}/{self.name}"


@dataclass(frozen=True)
class Plan:
    """Everything that is to be evaluated; `samples` and `accuracy_samples` are indices into the held-out data."""

    checkpoints: tuple[Checkpoint, ...]
    samples: tuple[int, ...]
    accuracy_samples: tuple[int, ...]

    def of(self, model: str) -> list[int]:
        """Positions of a model's checkpoints, in order of step; the last is the model."""
        return [i for i, checkpoint in enumerate(self.checkpoints) if checkpoint.model == model]


def make_plan(config: StudyConfig, dataset: Dataset, text: Text | None = None) -> Plan:
    """Choose the samples (balanced over classes, by seed) and list the checkpoints; `text` are the players of texts."""
    checkpoints = [
        Checkpoint(name, *entry)
        for name, model in config.all_models().items()
        for entry in checkpoint_files(model, f"models.{name}")
    ]
    if text is not None:
        long = [i for i in range(len(dataset)) if text.fits(str(dataset[i].x))]
        eligible = Subset(
            dataset,
            long,
            f"the texts of {text.n} {text.unit} or more that the model takes whole in {dataset.source}",
        )
        samples = [long[i] for i in balanced(eligible, config.samples, config.seed)]
    else:
        samples = balanced(dataset, config.samples, config.seed)
    accuracy = balanced(dataset, min(config.accuracy_samples, len(dataset)), config.seed)
    return Plan(tuple(checkpoints), tuple(samples), tuple(accuracy))


def _digest(name: str | None) -> str | None:
    """Of a state file or folder; what is asked of the hub is its own digest."""
    if name is None or hub_entry(name) is not None:
        return name
    path = Path(name)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def identity(config: StudyConfig, plan: Plan, sample_ids: list[str]) -> dict[str, Any]:
    """What a run's numbers depend on, by topic: a run folder made for something else is noticed by it."""
    models = {
        name: model.model_dump(mode="json", exclude={"weights", "checkpoints", "base"})
        for name, model in config.all_models().items()
    }
    return {
        "models": models,
        "state files": {c.label: _digest(c.file) for c in plan.checkpoints},
        "bases": {name: _digest(model.base) for name, model in config.all_models().items()},
        "data": config.data.model_dump(mode="json", exclude={"path", "train"}),
        "samples": sample_ids,
        "players": config.players.model_dump(mode="json"),
        "baseline": config.model_dump(mode="json", include={"baseline"})["baseline"],
        "value": config.value,
        "autocast": config.evaluation.autocast,
        "decomposition": config.decomposition.model_dump(mode="json"),
        "seed": config.seed,
    }
