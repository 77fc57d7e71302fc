"""The `training` section of a study file: what `bequeath train` does."""

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
    """Names of layers, or the ends of their names; or one regular expression."""
    rank: int = Field(8, ge=1, le=8192)
    alpha: int = Field(16, ge=1)


class _Rate(Section):
    """Learning rate and optimizer of one model."""

    learning_rate: float = Field(gt=0)
    optimizer: Optimizer = "adamw"
    decay: Decay = "cosine"
    warm_up: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(0.01, ge=0)


class _Budget(Section):
    """How long, on how much."""

    steps: int | None = Field(None, ge=1, le=10**9)
    """Optimizer steps; or"""
    epochs: float | None = Field(None, gt=0, le=10**6)
    batch_size: int = Field(32, ge=1, le=2**20)
    samples: int | None = Field(None, ge=2)
    """Training samples, balanced over classes and the same for all; all of them by default."""
    augment: Augment = "flip"
    """Of images."""

    @model_validator(mode="after")
    def _one_budget(self) -> _Budget:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs")
        return self

    def _schedule(
        self, rate: _Rate, samples: int, checkpoints: int = 1, first: int | None = None
    ) -> Schedule:
        """Checkpoints from the first one on; without it, only the end."""
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
    """From the model before (the default), or from scratch (that of the control)."""
    freeze: str | None = None
    """Freeze all layers up to this one."""
    head_only: bool = False
    """Train the last layer alone."""
    lora: LoraSection | None = None
    """Train low-rank adapters, and the head."""

    @model_validator(mode="after")
    def _one_part(self) -> RunSection:
        if sum((self.freeze is not None, self.head_only, self.lora is not None)) > 1:
            raise ValueError("give one of freeze, head_only and lora")
        return self


class PretrainingSection(_Rate, _Budget):
    """Pre-training on other data, where it is part of the question or no weights can be had; seed: the study's."""

    data: DataConfig

    def schedule(self, samples: int) -> Schedule:
        """On so many samples; only the end is kept."""
        return self._schedule(self, samples)


class TrainingConfig(_Budget):
    """Same data, budget and augmentation for all models, for several seeds. Under the name of each model that is to be
    trained: how it is."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, RunSection] = Field(init=False)
    checkpoints: int = Field(10, ge=1, le=10_000)
    """Log-spaced, at most so many of each run."""
    first_checkpoint: int = Field(1, ge=0)
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    twins: bool = False
    """Each seed's models have those of the next seed as their twins."""
    pretraining: PretrainingSection | None = None
    """Where the model before has no weights: how it is trained."""
    disturbed: list[Disturbance] = Field(default_factory=list)
    """More models like the one after, whose start was disturbed: a third of the backbone (early, middle, late) back at
    a random start; shuffled: pre-trained on shuffled labels (needs pretraining). Or, undisturbed, a frozen backbone."""

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
                raise ValueError(f"{name}: {getattr(self, name)} has one twice")
        if self.twins and len(self.seeds) < 2:
            raise ValueError("twins: need two seeds at least")
        if "shuffled" in self.disturbed and self.pretraining is None:
            raise ValueError("disturbed: shuffled needs a pretraining section, whose labels it shuffles")
        return self

    def schedule(self, run: RunSection, samples: int, *, end_only: bool = False) -> Schedule:
        """Of one model's run on so many samples."""
        if end_only:
            return self._schedule(run, samples)
        return self._schedule(run, samples, self.checkpoints, self.first_checkpoint)


def trained_names(training: dict[str, Any]) -> tuple[str, ...]:
    """Models that a `training` section, as it stands in the file, trains."""
    return tuple(name for name in training if name not in TrainingConfig.model_fields)
