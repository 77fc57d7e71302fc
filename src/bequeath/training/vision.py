"""Image classifiers trained for a fixed number of steps, by Lightning."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from bequeath.training.in_lightning import LightningCheckpoints

# Batches on which BatchNorm statistics are taken again for each checkpoint.
_BATCH_NORM_BATCHES = 4


@dataclass(frozen=True)
class Schedule:
    """AdamW under a one-cycle learning rate; log-spaced checkpoints from the first one on."""

    steps: int
    learning_rate: float
    batch_size: int = 32
    weight_decay: float = 0.01
    batch_norm_momentum: float = 0.3
    checkpoints: int = 5
    first_checkpoint: int = 1


class _Classifier(lightning.LightningModule):
    def __init__(self, model: nn.Module, schedule: Schedule, seed: int) -> None:
        super().__init__()
        self.model = model
        self.schedule = schedule
        self.flips = torch.Generator().manual_seed(seed)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        flip = torch.rand(len(images), generator=self.flips) < 0.5
        images = torch.where(flip[:, None, None, None], images.flip(3), images)
        logits = self.model(images.contiguous(memory_format=torch.channels_last))
        return nn.functional.cross_entropy(logits, labels)

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.schedule.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.schedule.learning_rate)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            self.schedule.learning_rate,
            total_steps=self.schedule.steps + 1,
            pct_start=0.2,
            div_factor=10,
            final_div_factor=100,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class _Ticks(lightning.Callback):
    def __init__(self, tick: Callable[[int], None]) -> None:
        self.tick = tick

    def on_train_batch_end(self, *_: Any) -> None:
        self.tick(1)


def by_turns(labels: Tensor) -> Tensor:
    """An order of the samples in which the classes take turns: folders come sorted by class, and the first few
    batches of such an order would give the BatchNorm statistics of one class."""
    seen: dict[int, int] = {}
    turns = []
    for label in labels.tolist():
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    return torch.tensor(turns).argsort(stable=True)


def train_images(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    schedule: Schedule,
    folder: Path,
    seed: int,
    architecture: str | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> None:
    """Train `model` in place and save checkpoints along the way; those of an earlier run in the folder go.

    Parameters
    ----------
    model : nn.Module
        Images (batch, channels, height, width) -> logits.
    images, labels : Tensor
        (samples, channels, height, width) float32 and (samples,) int64, in memory.
    folder : Path
        Gets ``step-000123.safetensors`` files.
    architecture : str, optional
        As study files name it; recorded beside the checkpoints.
    progress : callable
        Called with 1 after each step.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # The usual 0.1 does not get away from its start within a hundred steps.
            module.momentum = schedule.batch_norm_momentum
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = DataLoader(
        TensorDataset(images, labels),
        batch_size=min(schedule.batch_size, len(images)),
        shuffle=True,
        drop_last=True,
        generator=torch.Generator().manual_seed(seed),
    )
    mixed = images[by_turns(labels)][: _BATCH_NORM_BATCHES * schedule.batch_size]
    keep = LightningCheckpoints(
        folder,
        module="model",
        count=schedule.checkpoints,
        first=schedule.first_checkpoint,
        architecture=architecture,
        seed=seed,
        batch_norm=torch.split(mixed, schedule.batch_size),
        overwrite=True,
    )
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Lightning's advice on workers and loggers is not for this small loop
        torch.manual_seed(seed)
        trainer = lightning.Trainer(
            max_steps=schedule.steps,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[keep, _Ticks(progress)],
        )
        trainer.fit(_Classifier(model, schedule, seed), loader)
