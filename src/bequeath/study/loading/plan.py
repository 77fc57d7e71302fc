"""Which models, checkpoints and samples a study needs."""

from __future__ import annotations

from dataclasses import dataclass

from bequeath.data.samples import Dataset, Subset, balanced
from bequeath.games.players import Players
from bequeath.study.config import StudyConfig, checkpoint_files


@dataclass(frozen=True)
class Checkpoint:
    """One state of one of the models."""

    model: str
    name: str
    step: int | None
    file: str | None
    """State file or folder, or what is asked of the hub."""

    @property
    def label(self) -> str:
        """Coordinate in the store."""
        return f"{self.model}/{self.name}"

    @classmethod
    def from_label(cls, label: str, step: int | None) -> Checkpoint:
        """As read back from the store, which knows of no files."""
        model, name = label.split("/", 1)
        return cls(model, name, step, None)


@dataclass(frozen=True)
class Plan:
    """Everything that is to be evaluated; `samples` and `accuracy_samples` are indices into the held-out data."""

    checkpoints: tuple[Checkpoint, ...]
    samples: tuple[int, ...]
    accuracy_samples: tuple[int, ...]

    def of(self, model: str) -> list[int]:
        """Positions of a model's checkpoints, in order of step; the last is the model."""
        return [i for i, checkpoint in enumerate(self.checkpoints) if checkpoint.model == model]

    @property
    def finals(self) -> dict[str, int]:
        """Position of each model's last checkpoint, by name."""
        return {checkpoint.model: i for i, checkpoint in enumerate(self.checkpoints)}


def make_plan(config: StudyConfig, dataset: Dataset, players: Players) -> Plan:
    """Choose the samples (balanced over classes, by seed) of those that the players fit, and list the checkpoints."""
    checkpoints = [
        Checkpoint(name, *entry)
        for name in config.names
        for entry in checkpoint_files(config.models[name], f"models.{name}")
    ]
    if players.needs is not None:
        fitting = [i for i in range(len(dataset)) if players.fits(dataset[i].x)]
        eligible = Subset(dataset, fitting, f"the samples with {players.needs} in {dataset.source}")
        samples = [fitting[i] for i in balanced(eligible, config.samples, config.seed)]
    else:
        samples = balanced(dataset, config.samples, config.seed)
    accuracy = balanced(dataset, min(config.accuracy_samples, len(dataset)), config.seed)
    return Plan(tuple(checkpoints), tuple(samples), tuple(accuracy))
