"""How long, how fast and on what a model is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Optimizer = Literal["adamw", "sgd"]
Decay = Literal["cosine", "linear", "constant"]
Augment = Literal["none", "flip", "crop"]

# Where a run keeps what it would go on from, for as long as it is not finished.
UNFINISHED = "unfinished"
# A run that breaks off loses at most this share of its steps.
_KEPT = 0.1


@dataclass(frozen=True)
class Schedule:
    """A budget of steps under a learning rate that warms up and decays; log-spaced checkpoints from the first one on.

    Attributes
    ----------
    steps : int
        Optimizer steps.
    learning_rate : float
        The largest.
    warm_up : float
        Share of the steps over which it rises, linearly from 0.
    augment : {"none", "flip", "crop"}
        Of images: mirrored at random; or mirrored and shifted by up to an eighth of their size.
    batch_norm_momentum : float
        The usual 0.1 does not get away from its start within a hundred steps.
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
        """Steps between two states that a run which broke off can go on from."""
        return max(1, int(_KEPT * self.steps))

    def factor(self, step: int) -> float:
        """Learning rate after so many steps, as a share of the largest."""
        rise = self.warm_up * self.steps
        if step < rise:
            return (step + 1) / (rise + 1)
        part = (step - rise) / max(1.0, self.steps - rise)
        if self.decay == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
        return 1.0 if self.decay == "constant" else max(0.0, 1 - part)

    def make(self, model: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        """Optimizer and scheduler (one tick a step) of what is not frozen; biases and norms do not decay."""
        learned = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in learned if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer
        if self.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, lr=self.learning_rate, momentum=0.9)
        else:
            optimizer = torch.optim.AdamW(groups, lr=self.learning_rate)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, self.factor)
