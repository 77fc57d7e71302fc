"""The keys `baseline`, `value` and `evaluation` of a study file, and the objects that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import log2
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.games import baselines, values
from bequeath.games.baselines import Baseline
from bequeath.games.options import Evaluation, Options
from bequeath.models.named import call_own
from bequeath.study.config.own import OwnName, own_function
from bequeath.study.config.section import Section


class BlurConfig(Section):
    """Hidden players show the blurred picture."""

    kind: Literal["blur"]
    sigma: float = Field(10.0, gt=0, le=1000)


class GivenConfig(Section):
    """Hidden players show values from an .npy file."""

    kind: Literal["given"]
    path: Path

    def make(self) -> Baseline:
        try:
            return baselines.given(np.load(self.path, allow_pickle=False).astype(np.float32))
        except (OSError, ValueError) as error:
            raise BequeathError(
                f"baseline.path: {self.path}: not an .npy array of numbers ({error}); save it with numpy.save"
            ) from None


class OwnBaselineConfig(Section):
    """A baseline from a user's own function."""

    kind: OwnName
    """``module:function``, which returns a `bequeath.baselines.Baseline`."""
    options: dict[str, Any] = Field(default_factory=dict)

    def make(self) -> Baseline:
        made = call_own(own_function(self.kind), **self.options)
        if not isinstance(made, Baseline):
            raise BequeathError(
                f"baseline: {self.kind} returns a {type(made).__name__}; it must return a bequeath.baselines.Baseline"
            )
        return made


PlainBaseline = Literal["mean", "zero", "blur", "dataset_mean", "mask_token", "pad", "removal"]


def _baseline(value: Any) -> str:
    """Which form of the section is meant, so that validation errors are about that form."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", value)
    if isinstance(kind, str) and ":" in kind:
        return "OwnBaselineConfig"
    if isinstance(value, str):
        return "str"
    return "GivenConfig" if kind == "given" else "BlurConfig"


def _own(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) and ":" in value else value


BaselineConfig = Annotated[
    Annotated[PlainBaseline, Tag("str")]
    | Annotated[BlurConfig, Tag("BlurConfig")]
    | Annotated[GivenConfig, Tag("GivenConfig")]
    | Annotated[OwnBaselineConfig, Tag("OwnBaselineConfig")],
    Discriminator(_baseline),
    BeforeValidator(_own),
]


def baseline_name(config: BaselineConfig) -> str:
    """The name of the baseline, or ``module:function``."""
    return config if isinstance(config, str) else config.kind


def make_baseline(config: BaselineConfig, inputs: Callable[[], Tensor]) -> Baseline:
    """Make the baseline.

    Parameters
    ----------
    config : BaselineConfig
    inputs : callable
        Returns all model inputs (samples, ...), for the baseline `dataset_mean`.
    """
    if isinstance(config, BlurConfig):
        return baselines.blur(config.sigma)
    if not isinstance(config, str):
        return config.make()
    if config == "dataset_mean":
        return baselines.dataset_mean(inputs())
    plain: Baseline = getattr(baselines, config)()
    return plain


PlainValue = Literal[
    "log_odds", "log_probability", "logit", "margin", "binary_logit", "label_logit", "next_token"
]
ValueName = Annotated[
    Annotated[PlainValue, Tag("str")] | Annotated[OwnName, Tag("OwnConfig")],
    Discriminator(lambda value: "OwnConfig" if isinstance(value, str) and ":" in value else "str"),
]


def make_value(name: ValueName, label: int, answers: Sequence[int] | None) -> Callable[[Tensor], Tensor]:
    """Make the value function for one label.

    Parameters
    ----------
    name : str
        Name of the value, or ``module:function``.
    label : int
        Index of the class.
    answers : sequence of int, optional
        For `next_token`: the token of each class.

    Returns
    -------
    callable
        Logits (batch, classes) -> values (batch,).
    """
    value: Any
    if name == "next_token":
        assert answers is not None
        return values.next_token(answers[label])
    if ":" not in name:
        value = getattr(values, name)(label)
    else:
        value = call_own(own_function(name), label)
        if not callable(value):
            raise BequeathError(
                f"value: {name} returns a {type(value).__name__} for a label; it must return a function: logits "
                "(batch, classes) -> (batch,)"
            )
    return value  # type: ignore[no-any-return]


# Measured on CPUs: batches of about this many numbers are the fastest (16 pictures of 224 pixels, 256 of 48).
_BATCH_NUMBERS = 2**21
_LEAST, _TEXTS, _MOST = 8, 128, 256
_LARGEST = 2**20
# On GPUs larger batches are faster.
_GPU_FACTOR = 8


def _usual_batch(numbers: int | None) -> int:
    """A batch size near the fastest: a power of two, from the number of values in one input (None for texts)."""
    if numbers is None:
        return _TEXTS
    return int(min(max(2 ** round(log2(_BATCH_NUMBERS / numbers)), _LEAST), _MOST))


class EvaluationConfig(Section, Options):  # type: ignore[misc]  # frozen, as all sections are
    """How the models are run: as for `bequeath.evaluate`, but by default on cuda if there is a GPU."""

    batch_size: int | Literal["auto"] | None = None
    """By default chosen from the size of the inputs, the same every time. auto: the fastest that fits into memory,
    measured during the run; last digits of the results then differ from run to run."""

    @field_validator("batch_size")
    @classmethod
    def _positive(cls, size: int | str | None) -> int | str | None:
        if isinstance(size, int) and not 1 <= size <= _LARGEST:
            raise ValueError(f"{size}; give 1 to {_LARGEST:,}, or auto")
        return size

    def make(self, numbers: int | None) -> Evaluation:
        """The options of `bequeath.evaluate`. `numbers` is the number of values in one input, None for texts."""
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        size: int | None
        if self.batch_size is None:
            size = _usual_batch(numbers) * (_GPU_FACTOR if device.startswith("cuda") else 1)
        else:
            size = None if isinstance(self.batch_size, str) else self.batch_size
        return Evaluation(size, **{**asdict(self), "device": device})
