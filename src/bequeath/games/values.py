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


@dataclass(frozen=True)
class _Value:
    """A value of one class, the label; `text` says in a report what it is."""

    label: int
    name: ClassVar[str]
    text: ClassVar[str]

    def __call__(self, logits: Tensor) -> Tensor:
        self._check(logits)
        # In double precision before anything is taken off: logits may be large.
        return self._read(logits.to(torch.float64))

    def _read(self, logits: Tensor) -> Tensor:
        return logits[:, self.label]

    def _check(self, logits: Tensor) -> None:
        _check_label(self.label, logits, self.name)

    def _others(self, logits: Tensor) -> Tensor:
        return torch.cat((logits[:, : self.label], logits[:, self.label + 1 :]), dim=1)

    def __str__(self) -> str:
        return self.text


def _check_label(label: int, logits: Tensor, name: str) -> None:
    classes = logits.shape[-1]
    if classes < 2:
        raise BequeathError(
            f"{name}: the model gives {classes} output; at least 2 classes are needed (for one output: binary_logit)"
        )
    if not 0 <= label < classes:
        raise BequeathError(f"{name}: label {label} with a model of {classes} classes (0..{classes - 1})")


@dataclass(frozen=True)
class LogOdds(_Value):
    """log p/(1 - p) of the label, exact where p rounds to 0 or 1: the paper's value (arXiv 2410.08455)."""

    name = "log_odds"
    text = "log-odds of the true class"

    def _read(self, logits: Tensor) -> Tensor:
        # z_y - logsumexp of the others: never through a rounded softmax.
        return logits[:, self.label] - self._others(logits).logsumexp(1)


@dataclass(frozen=True)
class LogProbability(_Value):
    """log p of the label."""

    name = "log_probability"
    text = "log-probability of the true class"

    def _read(self, logits: Tensor) -> Tensor:
        return logits.log_softmax(1)[:, self.label]


@dataclass(frozen=True)
class Logit(_Value):
    """The label's logit."""

    name = "logit"
    text = "logit of the true class"


@dataclass(frozen=True)
class Margin(_Value):
    """The label's logit minus that of another class; of the strongest other where none is named."""

    other: int | None = None
    name = "margin"

    def __post_init__(self) -> None:
        if self.label == self.other:
            raise BequeathError(f"margin: label and other are both {self.label}; give another class")

    def _check(self, logits: Tensor) -> None:
        for label in (self.label,) if self.other is None else (self.label, self.other):
            _check_label(label, logits, self.name)

    def _read(self, logits: Tensor) -> Tensor:
        other = self._others(logits).amax(1) if self.other is None else logits[:, self.other]
        return logits[:, self.label] - other

    def __str__(self) -> str:
        return "margin of the true class" + ("" if self.other is None else f" to class {self.other}")


@dataclass(frozen=True)
class BinaryLogit(_Value):
    """The one logit of a binary classifier, (batch, 1): log-odds of label 1; with its sign changed, of label 0."""

    label: int = 1
    name = "binary_logit"
    text = "log-odds of the true class"

    def __post_init__(self) -> None:
        if self.label not in (0, 1):
            raise BequeathError(f"binary_logit: label {self.label}; a binary classifier has 0 and 1")

    def _check(self, logits: Tensor) -> None:
        if logits.shape[-1] != 1:
            raise BequeathError(
                f"binary_logit: the model gives {logits.shape[-1]} outputs, not 1; use log_odds, or label_logit for "
                "several labels"
            )

    def _read(self, logits: Tensor) -> Tensor:
        return logits[:, 0] * (1 if self.label else -1)


@dataclass(frozen=True)
class LabelLogit(_Value):
    """Logit of one label of a multi-label classifier, (batch, labels): its log-odds, whatever the other labels are."""

    name = "label_logit"
    text = "logit of the true label"

    def _check(self, logits: Tensor) -> None:
        labels = logits.shape[-1]
        if not 0 <= self.label < labels:
            raise BequeathError(
                f"label_logit: label {self.label} with a model of {labels} labels (0..{labels - 1})"
            )


@dataclass(frozen=True)
class NextToken(LogOdds):
    """Log-odds that a causal language model goes on with a token, over its whole vocabulary; `label` is its id."""

    name = "next_token"
    text = "log-odds of the true class's token as the next one"


log_odds = LogOdds
log_probability = LogProbability
logit = Logit
margin = Margin
binary_logit = BinaryLogit
label_logit = LabelLogit
next_token = NextToken

__all__ = [
    "BinaryLogit",
    "LabelLogit",
    "LogOdds",
    "LogProbability",
    "Logit",
    "Margin",
    "NextToken",
    "binary_logit",
    "label_logit",
    "log_odds",
    "log_probability",
    "logit",
    "margin",
    "next_token",
]


def __dir__() -> list[str]:
    return __all__
