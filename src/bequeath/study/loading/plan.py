"""The plan of a study: its checkpoints and samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bequeath.data.samples import Dataset, Subset, balanced
from bequeath.games.players import Players
from bequeath.study.config import StudyConfig, checkpoint_files

# Share of flipped samples in a study with a focus. The other samples show models that agree.
FOCUSED = 0.75

# Follows a model's name in a label. Names hold no brackets, so labels are unambiguous.
_RETEST = " (retest)"


@dataclass(frozen=True)
class Checkpoint:
    """One state of one of the models."""

    model: str
    name: str
    step: int | None
    file: str | None
    """State file or folder, or a hub entry."""
    retest: bool = False
    """Whether it is read on the equivalent game instead of the study's own."""

    @property
    def label(self) -> str:
        """Coordinate in the store: ``model/name``, or ``model (retest)/name``."""
        return f"{self.model}{_RETEST if self.retest else ''}/{self.name}"

    @classmethod
    def from_label(cls, label: str, step: int | None) -> Checkpoint:
        """A checkpoint from its label in the store, which does not record files."""
        model, name = label.split("/", 1)
        return cls(model.removesuffix(_RETEST), name, step, None, model.endswith(_RETEST))


@dataclass(frozen=True)
class Plan:
    """Everything that is to be evaluated. Samples are indices into the held-out data.

    Attributes
    ----------
    checkpoints : tuple of Checkpoint
        All models' own checkpoints, then the retests.
    samples, accuracy_samples : tuple of int
        Samples whose interactions are read; samples on which accuracy is measured.
    retest_samples : tuple of int
        The samples of the retests; empty without retests.
    """

    checkpoints: tuple[Checkpoint, ...]
    samples: tuple[int, ...]
    accuracy_samples: tuple[int, ...]
    retest_samples: tuple[int, ...] = ()

    def of(self, model: str) -> list[int]:
        """Positions of a model's own checkpoints, in order of step; the last is the model."""
        return [i for i, c in enumerate(self.checkpoints) if c.model == model and not c.retest]

    @property
    def finals(self) -> dict[str, int]:
        """Position of each model's last checkpoint, by the model's name."""
        return {c.model: i for i, c in enumerate(self.checkpoints) if not c.retest}

    @property
    def retests(self) -> dict[str, int]:
        """Position of each retest, by the model's name."""
        return {c.model: i for i, c in enumerate(self.checkpoints) if c.retest}


def make_plan(
    config: StudyConfig, dataset: Dataset, players: Players, flipped: Sequence[Sequence[int]] = ()
) -> Plan:
    """List the checkpoints, and choose samples that the players fit, balanced over classes.

    Parameters
    ----------
    config : StudyConfig
    dataset : Dataset
        The held-out data.
    players : Players
        Decide which samples fit.
    flipped : sequence of sequence of int, optional
        Groups of samples that are chosen before all others, in this order, for up to three quarters of the samples.

    Raises
    ------
    BequeathError
        If there are too few samples, or checkpoints cannot be found.
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
    # The samples of a study with that many samples; they are among the samples of a larger study.
    retested = samples
    if retest.samples is not None:
        retested = _samples(config, dataset, fitting, retest.samples, flipped)
    return replace(
        plan,
        checkpoints=(*checkpoints, *(replace(final, retest=True) for final in finals)),
        retest_samples=tuple(retested),
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
    """Choose `count` of the fitting samples. A smaller choice is contained in a larger one."""
    first = {i for group in flipped for i in group}
    if not first or count > len(fitting):
        return [fitting.indices[i] for i in balanced(fitting, count, config.seed)]
    possible = set(fitting.indices)
    groups = [sorted(possible.intersection(group)) for group in flipped]
    others = [i for i in fitting.indices if i not in first]
    # More flipped samples are taken if there are too few others.
    most_flipped = max(math.ceil(FOCUSED * count), count - len(others))
    chosen: list[int] = []
    for group, limit in [*((group, most_flipped) for group in groups), (others, count)]:
        taken = min(len(group), limit - len(chosen))
        if taken > 0:
            candidates = Subset(dataset, group, fitting.source)
            chosen += [group[i] for i in balanced(candidates, taken, config.seed)]
    return sorted(chosen)
