"""Which models, checkpoints and samples a study needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bequeath.data.samples import Dataset, Subset, balanced
from bequeath.games.players import Players
from bequeath.study.config import StudyConfig, checkpoint_files

# So much of the samples are flipped ones where a study is to look at these; the others show what did not flip.
FOCUSED = 0.75

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


def make_plan(
    config: StudyConfig, dataset: Dataset, players: Players, flipped: Sequence[Sequence[int]] = ()
) -> Plan:
    """Choose the samples (balanced over classes, by seed) of those that the players fit, and list the checkpoints.

    `flipped`: groups of samples that come before all others, the first group first, up to three quarters of all.
    """
    checkpoints = [
        Checkpoint(name, *entry)
        for name in config.names
        for entry in checkpoint_files(config.models[name], f"models.{name}")
    ]
    fitting = _fitting(dataset, players)
    samples, retest = _samples(config, dataset, fitting, config.samples, flipped), config.retest
    accuracy = balanced(dataset, min(config.accuracy_samples, len(dataset)), config.seed)
    plan = Plan(tuple(checkpoints), tuple(samples), tuple(accuracy))
    if retest is None:
        return plan
    finals = [checkpoints[plan.finals[name]] for _, name in config.roles.given()]
    # Those of a study of so many samples, which a larger one only adds to: the samples' order is that of the data.
    some = samples
    if retest.samples is not None:
        some = _samples(config, dataset, fitting, retest.samples, flipped)
    return replace(
        plan,
        checkpoints=(*checkpoints, *(replace(final, retest=True) for final in finals)),
        retest_samples=tuple(some),
    )


def _fitting(dataset: Dataset, players: Players) -> Subset:
    """The samples that the players fit."""
    if players.needs is None:
        return Subset(dataset, range(len(dataset)), dataset.source)
    fitting = [i for i in range(len(dataset)) if players.fits(dataset[i].x)]
    return Subset(dataset, fitting, f"{dataset.source}, those with {players.needs}")


def _samples(
    config: StudyConfig, dataset: Dataset, fitting: Subset, count: int, flipped: Sequence[Sequence[int]]
) -> list[int]:
    """So many of the fitting samples; fewer are among more."""
    first = {i for group in flipped for i in group}
    if not first or count > len(fitting):
        return [fitting.indices[i] for i in balanced(fitting, count, config.seed)]
    possible = set(fitting.indices)
    groups = [sorted(possible.intersection(group)) for group in flipped]
    others = [i for i in fitting.indices if i not in first]
    # Of the flipped ones more, where there are too few others.
    wanted = max(math.ceil(FOCUSED * count), count - len(others))
    chosen: list[int] = []
    for group, most in [*((group, wanted) for group in groups), (others, count)]:
        taken = min(len(group), most - len(chosen))
        if taken > 0:
            some = Subset(dataset, group, fitting.source)
            chosen += [group[i] for i in balanced(some, taken, config.seed)]
    return sorted(chosen)
