"""Value functions: from a classifier's logits (batch, classes) to one number per row, float64 (batch,).

Your own value function is any callable with this signature, such as this one, which is minus the entropy:

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
    """A value function of one class, the label; `text` is its name in reports."""

    label: int
    name: ClassVar[str]
    text: ClassVar[str]

    def __call__(self, logits: Tensor) -> Tensor:
        self._check(logits)
        # In double precision before logits are subtracted: they may be large.
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
        raise BequeathError(
            f"{name}: label {label} with a model of {classes} classes; give one from 0 to {classes - 1}"
        )


@dataclass(frozen=True)
class LogOdds(_Value):
    """Log-odds of the label, log p / (1 - p), in nats.

    It is computed from logits as z_y - logsumexp(z_k, k != y), so it is exact even if p rounds to 0 or 1. This is the
    value function of arXiv 2410.08455 (docs/method.md, section "Game").

    Parameters
    ----------
    label : int
        The class, from 0. Higher values mean that the model is surer of it; 0 means p = 1/2.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> value = bq.values.log_odds(1)
    >>> value(torch.tensor([[0.0, 2.0, 0.0]])).round(decimals=3).tolist()
    [1.307]
    """

    name = "log_odds"
    text = "log-odds of the true class"

    def _read(self, logits: Tensor) -> Tensor:
        # z_y - logsumexp of the others: never through a rounded softmax.
        return logits[:, self.label] - self._others(logits).logsumexp(1)


@dataclass(frozen=True)
class LogProbability(_Value):
    """Log-probability of the label, log p, in nats; at most 0.

    Parameters
    ----------
    label : int
        The class, from 0. Higher values mean that the model is surer of it.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> value = bq.values.log_probability(1)
    >>> value(torch.tensor([[0.0, 2.0, 0.0]])).round(decimals=3).tolist()
    [-0.24]
    """

    name = "log_probability"
    text = "log-probability of the true class"

    def _read(self, logits: Tensor) -> Tensor:
        return logits.log_softmax(1)[:, self.label]


@dataclass(frozen=True)
class Logit(_Value):
    """Logit of the label, in the units of the model's output.

    Parameters
    ----------
    label : int
        The class, from 0.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.values.logit(1)(torch.tensor([[0.0, 2.0, 0.0]])).tolist()
    [2.0]
    """

    name = "logit"
    text = "logit of the true class"


@dataclass(frozen=True)
class Margin(_Value):
    """Logit of the label minus logit of another class, in the units of the model's output.

    Parameters
    ----------
    label : int
        The class, from 0.
    other : int, optional
        The class to compare with; by default the one with the largest logit among all others, row by row. A value above
        0 then means that the model predicts the label.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> logits = torch.tensor([[0.0, 2.0, 1.5]])
    >>> bq.values.margin(1)(logits).tolist(), bq.values.margin(1, other=0)(logits).tolist()
    ([0.5], [2.0])
    """

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
    """Log-odds of the label of a binary classifier with one output, (batch, 1), in nats.

    Parameters
    ----------
    label : {1, 0}
        The class. The output is the log-odds of label 1; for label 0 its sign is changed.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.values.binary_logit(0)(torch.tensor([[3.0], [-1.0]])).tolist()
    [-3.0, 1.0]
    """

    label: int = 1
    name = "binary_logit"
    text = "log-odds of the true class"

    def __post_init__(self) -> None:
        if self.label not in (0, 1):
            raise BequeathError(
                f"binary_logit: label {self.label}; give 0 or 1, the labels of a binary classifier"
            )

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
    """Logit of one label of a multi-label classifier, (batch, labels): its log-odds, in nats.

    Parameters
    ----------
    label : int
        The label, from 0. The other labels have no influence.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.values.label_logit(2)(torch.tensor([[0.5, -1.0, 3.0]])).tolist()
    [3.0]
    """

    name = "label_logit"
    text = "logit of the true label"

    def _check(self, logits: Tensor) -> None:
        labels = logits.shape[-1]
        if not 0 <= self.label < labels:
            raise BequeathError(
                f"label_logit: label {self.label} with a model of {labels} labels; give one from 0 to {labels - 1}"
            )


@dataclass(frozen=True)
class NextToken(LogOdds):
    """Log-odds of a token as the next one of a causal language model, over its whole vocabulary, in nats.

    Parameters
    ----------
    label : int
        Id of the token.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> next_token_logits = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    >>> bq.values.next_token(2)(next_token_logits).round(decimals=3).tolist()
    [-0.099]
    """

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
