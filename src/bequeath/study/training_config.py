"""The `training` section of a study file: what `bequeath train` does."""

from __future__ import annotations

from pydantic import Field, model_validator

from bequeath.study.section import Section
from bequeath.training.schedule import Augment, Decay, Optimizer, Schedule


class LoraSection(Section):
    """Low-rank adapters."""

    targets: list[str] | str
    """Names of layers, or the ends of their names; or one regular expression."""
    rank: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)


class RunSection(Section):
    """How one of the two models is trained."""

    learning_rate: float = Field(gt=0)
    optimizer: Optimizer = "adamw"
    decay: Decay = "cosine"
    warm_up: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(0.01, ge=0)
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


class TrainingConfig(Section):
    """Same data, budget and augmentation for both models; several seeds."""

    finetuned: RunSection
    scratch: RunSection
    steps: int | None = Field(None, ge=1)
    """Optimizer steps; or"""
    epochs: float | None = Field(None, gt=0)
    batch_size: int = Field(32, ge=1)
    samples: int | None = Field(None, ge=2)
    """Training samples, balanced over classes and the same for all; all of them by default."""
    augment: Augment = "flip"
    """Of images."""
    checkpoints: int = Field(10, ge=1)
    """Log-spaced, at most so many of each run."""
    first_checkpoint: int = Field(1, ge=0)
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> TrainingConfig:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs")
        if self.scratch.lora is not None:
            raise ValueError("scratch.lora: adapters need a pre-trained base; leave it out")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} has one twice")
        return self

    def schedule(self, name: str, samples: int) -> Schedule:
        """Of one of the two models, on so many samples."""
        run: RunSection = getattr(self, name)
        size = min(self.batch_size, samples)
        steps = self.steps or max(1, round((self.epochs or 0) * (samples // size)))
        return Schedule(
            steps,
            batch_size=self.batch_size,
            augment=self.augment,
            checkpoints=self.checkpoints,
            first_checkpoint=min(self.first_checkpoint, steps),
            **run.model_dump(exclude={"freeze", "head_only", "lora"}),
        )
