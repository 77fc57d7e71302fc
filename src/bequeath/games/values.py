"""What is read off a classifier's output: logits (batch, classes) -> one number per row, float64.

A user's own value function is any callable of that signature, such as this one, minus the entropy:

    def certainty(logits):
        p = logits.double().softmax(1)
        return (p * p.log()).sum(1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bequeath.errors import BequeathError


def _check_label(label: int, logits: Tensor, name: str) -> None:
    classes = logits.shape[-1]
    if classes < 2:
        raise BequeathError(
            f"{name}: the model gives {classes} output; at least 2 classes are needed (for one output: binary_logit)"
        )
    if not 0 <= label < classes:
        raise BequeathError(f"{name}: label {label} with a model of {classes} classes (0..{classes - 1})")


@dataclass(frozen=True)
class LogOdds:
    """log p/(1 - p) of the label, exact where p rounds to 0 or 1."""

    label: int
    name: ClassVar[str] = "log_odds"

    def __call__(self, logits: Tensor) -> Tensor:
        _check_label(self.label, logits, self.name)
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


@dataclass(frozen=True)
class Margin:
    """The label's logit minus that of another class; of the strongest other where none is named."""

    label: int
    other: int | None = None

    def __post_init__(self) -> None:
        if self.label == self.other:
            raise BequeathError(f"margin: label and other are both {self.label}; give another class")

    def __call__(self, logits: Tensor) -> Tensor:
        _check_label(self.label, logits, "margin")
        if self.other is not None:
            _check_label(self.other, logits, "margin")
            # The difference is taken in double precision: both logits may be large.
            return logits[:, self.label].to(torch.float64) - logits[:, self.other].to(torch.float64)
        logits = logits.to(torch.float64)
        rest = torch.cat((logits[:, : self.label], logits[:, self.label + 1 :]), dim=1)
        return logits[:, self.label] - rest.amax(1)

    def __str__(self) -> str:
        return "margin of the true class" + ("" if self.other is None else f" to class {self.other}")


@dataclass(frozen=True)
class BinaryLogit:
    """The one logit of a binary classifier: log-odds of label 1; with its sign changed, of label 0."""

    label: int = 1

    def __post_init__(self) -> None:
        if self.label not in (0, 1):
            raise BequeathError(f"binary_logit: label {self.label}; a binary classifier has 0 and 1")

    def __call__(self, logits: Tensor) -> Tensor:
        if logits.shape[-1] != 1:
            raise BequeathError(
                f"binary_logit: the model gives {logits.shape[-1]} outputs, not 1; use log_odds, or label_logit for "
                "several labels"
            )
        return logits[:, 0].to(torch.float64) * (1 if self.label else -1)

    def __str__(self) -> str:
        return "log-odds of the true class"


@dataclass(frozen=True)
class LabelLogit:
    """Logit of label k of a multi-label classifier: its log-odds, whatever the other labels are."""

    label: int

    def __call__(self, logits: Tensor) -> Tensor:
        labels = logits.shape[-1]
        if not 0 <= self.label < labels:
            raise BequeathError(
                f"label_logit: label {self.label} with a model of {labels} labels (0..{labels - 1})"
            )
        return logits[:, self.label].to(torch.float64)

    def __str__(self) -> str:
        return "logit of the true label"


@dataclass(frozen=True)
class NextToken(LogOdds):
    """Log-odds that a causal language model goes on with a token, over its whole vocabulary."""

    name: ClassVar[str] = "next_token"

    def __str__(self) -> str:
        return "log-odds of the true class's token as the next one"


def log_odds(label: int) -> LogOdds:
    """Log-odds of class `label`, from logits of shape (batch, classes): the paper's value (arXiv 2410.08455)."""
    return LogOdds(label)


def log_probability(label: int) -> LogProbability:
    """Log-probability of class `label`, from logits of shape (batch, classes)."""
    return LogProbability(label)


def logit(label: int) -> Logit:
    """Logit of class `label`, from logits of shape (batch, classes)."""
    return Logit(label)


def margin(label: int, other: int | None = None) -> Margin:
    """Logit of class `label` minus that of class `other`, or of the strongest other class."""
    return Margin(label, other)


def binary_logit(label: int = 1) -> BinaryLogit:
    """Log-odds of label 1 or 0 from the one logit of a binary classifier: logits (batch, 1)."""
    return BinaryLogit(label)


def label_logit(label: int) -> LabelLogit:
    """Logit of one label of a multi-label classifier, from logits of shape (batch, labels)."""
    return LabelLogit(label)


def next_token(token: int) -> NextToken:
    """Log-odds of `token` (its id) as the next one, for a causal language model."""
    return NextToken(token)
