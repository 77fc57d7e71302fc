"""The schedule of a training run: steps, learning rate, batches and checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Optimizer = Literal["adamw", "sgd"]
Decay = Literal["cosine", "linear", "constant"]
Augment = Literal["none", "flip", "crop"]

# Folder of the state that an unfinished run can resume from.
UNFINISHED = "unfinished"
# An interrupted run loses at most this share of its steps.
_SAVE_INTERVAL = 0.1


@dataclass(frozen=True)
class Schedule:
    """Steps under a learning rate that warms up and decays, with log-spaced checkpoints.

    Attributes
    ----------
    steps : int
        Optimizer steps.
    learning_rate : float
        The largest.
    batch_size : int
        Samples in a step.
    optimizer : {"adamw", "sgd"}
    decay : {"cosine", "linear", "constant"}
        How the learning rate falls after the warm-up.
    warm_up : float
        Share of the steps over which the learning rate rises linearly from 0.
    weight_decay : float
        Of matrices; biases and norms do not decay.
    augment : {"none", "flip", "crop"}
        Of images: "flip" mirrors at random, "crop" also shifts by up to an eighth of their size.
    batch_norm_momentum : float
        Of running averages. torch's 0.1 keeps too much of the initial statistics in a run of a hundred steps.
    checkpoints : int
        The largest number of checkpoints.
    first_checkpoint : int
        The first step to save.
    """

    steps: int
    learning_rate: float
    batch_size: int = 32
    optimizer: Optimizer = "adamw"
    decay: Decay = "cosine"
    warm_up: float = 0.1
    weight_decay: float = 0.01
    augment: Augment = "flip"
    batch_norm_momentum: float = 0.3
    checkpoints: int = 10
    first_checkpoint: int = 1

    @property
    def keep_every(self) -> int:
        """Steps between two saved states that an interrupted run can resume from."""
        return max(1, int(_SAVE_INTERVAL * self.steps))

    def factor(self, step: int) -> float:
        """Learning rate after `step` steps, as a share of the largest."""
        rise = self.warm_up * self.steps
        if step < rise:
            return (step + 1) / (rise + 1)
        part = (step - rise) / max(1.0, self.steps - rise)
        if self.decay == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
        return 1.0 if self.decay == "constant" else max(0.0, 1 - part)

    def make(self, model: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        """Optimizer of the parameters that are not frozen, and its scheduler, which advances once a step."""
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer
        if self.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, lr=self.learning_rate, momentum=0.9)
        else:
            optimizer = torch.optim.AdamW(groups, lr=self.learning_rate)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, self.factor)
