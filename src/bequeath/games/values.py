"""What is read off a classifier's output: logits (batch, classes) -> one number per row, float64.

A user's own value function is any callable of that signature.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.errors import BequeathError


def _check_label(label: int, logits: Tensor, name: str) -> None:
    classes = logits.shape[-1]
    if classes < 2:
        raise BequeathError(f"{name}: the model gives {classes} output; at least 2 classes are needed")
    if not 0 <= label < classes:
        raise BequeathError(f"{name}: label {label} with a model of {classes} classes (0..{classes - 1})")


@dataclass(frozen=True)
class LogOdds:
    """log p/(1 - p) of the label, exact where p rounds to 0 or 1."""

    label: int

    def __call__(self, logits: Tensor) -> Tensor:
        _check_label(self.label, logits, "log_odds")
        # z_y - logsumexp of the others: never through a rounded softmax.
        logits = logits.to(torch.float64)
        rest = torch.cat((logits[:, : self.label], logits[:, self.label + 1 :]), dim=1)
        return logits[:, self.label] - rest.logsumexp(1)

    def __str__(self) -> str:
        return "log-odds of the true class"


@dataclass(frozen=True)
class LogProbability:
    """log p of the label."""

    label: int

    def __call__(self, logits: Tensor) -> Tensor:
        _check_label(self.label, logits, "log_probability")
        return logits.to(torch.float64).log_softmax(1)[:, self.label]

    def __str__(self) -> str:
        return "log-probability of the true class"


@dataclass(frozen=True)
class Logit:
    """The label's logit."""

    label: int

    def __call__(self, logits: Tensor) -> Tensor:
        _check_label(self.label, logits, "logit")
        return logits[:, self.label].to(torch.float64)

    def __str__(self) -> str:
        return "logit of the true class"


def log_odds(label: int) -> LogOdds:
    """Log-odds of class `label`, from logits of shape (batch, classes): the paper's value (arXiv 2410.08455)."""
    return LogOdds(label)


def log_probability(label: int) -> LogProbability:
    """Log-probability of class `label`, from logits of shape (batch, classes)."""
    return LogProbability(label)


def logit(label: int) -> Logit:
    """Logit of class `label`, from logits of shape (batch, classes)."""
    return Logit(label)
