"""The `training` section of a study file, for `bequeath train`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from bequeath.study.config.data import DataConfig
from bequeath.study.config.section import Section, Seed
from bequeath.training.schedule import Augment, Decay, Optimizer, Schedule

Disturbance = Literal["early", "middle", "late", "frozen", "shuffled"]


class LoraSection(Section):
    """Low-rank adapters."""

    targets: list[str] | str
    """Names of layers, or the ends of their names; a single string is a regular expression."""
    rank: int = Field(8, ge=1, le=8192)
    alpha: int = Field(16, ge=1)


class _Rate(Section):
    """Optimizer and learning rate of one model."""

    learning_rate: float = Field(gt=0)
    optimizer: Optimizer = "adamw"
    decay: Decay = "cosine"
    warm_up: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(0.01, ge=0)


class _Budget(Section):
    """Length of training, and its samples."""

    steps: int | None = Field(None, ge=1, le=10**9)
    """Optimizer steps. Give either steps or epochs."""
    epochs: float | None = Field(None, gt=0, le=10**6)
    """Passes over the training samples."""
    batch_size: int = Field(32, ge=1, le=2**20)
    samples: int | None = Field(None, ge=2)
    """Number of training samples, balanced over classes and the same for all models; by default all."""
    augment: Augment = "flip"
    """Augmentation of images."""

    @model_validator(mode="after")
    def _one_budget(self) -> _Budget:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        return self

    def _schedule(
        self, rate: _Rate, samples: int, checkpoints: int = 1, first: int | None = None
    ) -> Schedule:
        """The schedule of a run on some number of samples; if `first` is None, only the last step is saved."""
        size = min(self.batch_size, samples)
        steps = self.steps or max(1, round((self.epochs or 0) * (samples // size)))
        return Schedule(
            steps,
            batch_size=self.batch_size,
            augment=self.augment,
            checkpoints=checkpoints,
            first_checkpoint=steps if first is None else min(first, steps),
            **rate.model_dump(include=set(_Rate.model_fields)),
        )


class RunSection(_Rate):
    """How one model is trained."""

    start: Literal["before", "random"] | None = None
    """Start from the model before, or from random weights; by default only the control starts at random."""
    freeze: str | None = None
    """Freeze all layers up to this one."""
    head_only: bool = False
    """Train only the last layer."""
    lora: LoraSection | None = None
    """Train low-rank adapters and the head."""

    @model_validator(mode="after")
    def _one_part(self) -> RunSection:
        if sum((self.freeze is not None, self.head_only, self.lora is not None)) > 1:
            raise ValueError("give one of freeze, head_only and lora")
        return self


class PretrainingSection(_Rate, _Budget):
    """Pre-training of the model before on other data, with the study's seed."""

    data: DataConfig

    def schedule(self, samples: int) -> Schedule:
        """The schedule on some number of samples; only the last step is saved."""
        return self._schedule(self, samples)


class TrainingConfig(_Budget):
    """Training with the same data, budget and augmentation for all models, for each seed. Under the name of each model
    that is to be trained, a section says how."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, RunSection] = Field(init=False)
    checkpoints: int = Field(10, ge=1, le=10_000)
    """The largest number of log-spaced checkpoints of each run."""
    first_checkpoint: int = Field(1, ge=0)
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    twins: bool = False
    """Whether each seed's models have those of the next seed as their twins."""
    pretraining: PretrainingSection | None = None
    """How the model before is trained, if it has no weights."""
    disturbed: list[Disturbance] = Field(default_factory=list)
    """More models trained like the one after, from a disturbed start. early, middle, late: this third of the backbone
    is set back to random weights. shuffled: pre-trained on shuffled labels (needs pretraining). frozen: the start is
    not disturbed, but the backbone is frozen."""

    @property
    def runs(self) -> dict[str, RunSection]:
        """The models that are trained, by name."""
        return dict(self.__pydantic_extra__)

    @model_validator(mode="after")
    def _fits(self) -> TrainingConfig:
        if not self.runs:
            raise ValueError("names no model to train; give one, such as finetuned: {learning_rate: 1e-3}")
        for name in ("seeds", "disturbed"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)} has an entry twice; give each once")
        if self.twins and len(self.seeds) < 2:
            raise ValueError("twins: need at least two seeds")
        if "shuffled" in self.disturbed and self.pretraining is None:
            raise ValueError("disturbed: shuffled needs a pretraining section, whose labels it shuffles")
        return self

    def schedule(self, run: RunSection, samples: int, *, end_only: bool = False) -> Schedule:
        """The schedule of one model's run on some number of samples."""
        if end_only:
            return self._schedule(run, samples)
        return self._schedule(run, samples, self.checkpoints, self.first_checkpoint)


def trained_names(training: dict[str, Any]) -> tuple[str, ...]:
    """Names of the models that a `training` section trains, from its unchecked content."""
    return tuple(name for name in training if name not in TrainingConfig.model_fields)
