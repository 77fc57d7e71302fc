"""Which models, checkpoints and samples a study needs."""

from __future__ import annotations

from dataclasses import dataclass

from bequeath.data.samples import Dataset, Subset, balanced
from bequeath.games.players import Text
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
            f"the texts of {text.n_players} {text.unit} or more that the model takes whole in {dataset.source}",
        )
        samples = [long[i] for i in balanced(eligible, config.samples, config.seed)]
    else:
        samples = balanced(dataset, config.samples, config.seed)
    accuracy = balanced(dataset, min(config.accuracy_samples, len(dataset)), config.seed)
    return Plan(tuple(checkpoints), tuple(samples), tuple(accuracy))
