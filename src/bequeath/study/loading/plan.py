"""Which models, checkpoints and samples a study needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bequeath.data.samples import Dataset, Subset, balanced
from bequeath.games.players import Players
from bequeath.study.config import StudyConfig, checkpoint_files

# Behind a model's name, which holds no brackets: so a label is read in one way.
_RETEST = " (retest)"


@dataclass(frozen=True)
class Checkpoint:
    """One state of one of the models."""

    model: str
    name: str
    step: int | None
    file: str | None
    """State file or folder, or what is asked of the hub."""
    retest: bool = False
    """Whether it plays the equivalent game, not the study's own."""

    @property
    def label(self) -> str:
        """Coordinate in the store: ``model/name``, or ``model (retest)/name``."""
        return f"{self.model}{_RETEST if self.retest else ''}/{self.name}"

    @classmethod
    def from_label(cls, label: str, step: int | None) -> Checkpoint:
        """As read back from the store, which knows of no files."""
        model, name = label.split("/", 1)
        return cls(model.removesuffix(_RETEST), name, step, None, model.endswith(_RETEST))


@dataclass(frozen=True)
class Plan:
    """Everything that is to be evaluated; samples are indices into the held-out data.

    Attributes
    ----------
    checkpoints : tuple of Checkpoint
        All models' own, then the retests.
    samples, accuracy_samples : tuple of int
    retest_samples : tuple of int
        Those of the samples that retests are asked for; none where there are no retests.
    """

    checkpoints: tuple[Checkpoint, ...]
    samples: tuple[int, ...]
    accuracy_samples: tuple[int, ...]
    retest_samples: tuple[int, ...] = ()

    def of(self, model: str) -> list[int]:
        """Positions of a model's own checkpoints, in order of step; the last is the model."""
        return [i for i, one in enumerate(self.checkpoints) if one.model == model and not one.retest]

    @property
    def finals(self) -> dict[str, int]:
        """Position of each model's last checkpoint, by name."""
        return {one.model: i for i, one in enumerate(self.checkpoints) if not one.retest}

    @property
    def retests(self) -> dict[str, int]:
        """Position of each model's retest, by name of those that have one."""
        return {one.model: i for i, one in enumerate(self.checkpoints) if one.retest}


def make_plan(config: StudyConfig, dataset: Dataset, players: Players) -> Plan:
    """Choose the samples (balanced over classes, by seed) of those that the players fit, and list the checkpoints."""
    checkpoints = [
        Checkpoint(name, *entry)
        for name in config.names
        for entry in checkpoint_files(config.models[name], f"models.{name}")
    ]
    samples, retest = _samples(config, dataset, players, config.samples), config.retest
    accuracy = balanced(dataset, min(config.accuracy_samples, len(dataset)), config.seed)
    plan = Plan(tuple(checkpoints), tuple(samples), tuple(accuracy))
    if retest is None:
        return plan
    finals = [checkpoints[plan.finals[name]] for _, name in config.roles.given()]
    # Those of a study of so many samples, which a larger one only adds to: the samples' order is that of the data.
    some = samples if retest.samples is None else _samples(config, dataset, players, retest.samples)
    return replace(
        plan,
        checkpoints=(*checkpoints, *(replace(final, retest=True) for final in finals)),
        retest_samples=tuple(some),
    )


def _samples(config: StudyConfig, dataset: Dataset, players: Players, count: int) -> list[int]:
    if players.needs is None:
        return balanced(dataset, count, config.seed)
    fitting = [i for i in range(len(dataset)) if players.fits(dataset[i].x)]
    eligible = Subset(dataset, fitting, f"{dataset.source}, those with {players.needs}")
    return [fitting[i] for i in balanced(eligible, count, config.seed)]
