"""The games of a study file: baseline, value, and how the models are run. Sections make live objects."""

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
    """The picture itself, blurred."""

    kind: Literal["blur"]
    sigma: float = Field(10.0, gt=0, le=1000)


class GivenConfig(Section):
    """Values from an .npy file."""

    kind: Literal["given"]
    path: Path

    def make(self) -> Baseline:
        try:
            return baselines.given(np.load(self.path, allow_pickle=False).astype(np.float32))
        except (OSError, ValueError) as error:
            raise BequeathError(f"baseline.path: {self.path}: no .npy array of numbers ({error})") from None


class OwnBaselineConfig(Section):
    """A baseline that a function of the user's own makes."""

    kind: OwnName
    """``module:function``; it returns a `bequeath.baselines.Baseline`."""
    options: dict[str, Any] = Field(default_factory=dict)

    def make(self) -> Baseline:
        made = call_own(own_function(self.kind), **self.options)
        if not isinstance(made, Baseline):
            raise BequeathError(
                f"baseline: {self.kind} gives a {type(made).__name__}; it must return a bequeath.baselines.Baseline"
            )
        return made


PlainBaseline = Literal["mean", "zero", "blur", "dataset_mean", "mask_token", "pad", "removal"]


def _baseline(value: Any) -> str:
    """Which of the forms is meant: so the errors are of that one."""
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
    """Which baseline it is."""
    return config if isinstance(config, str) else config.kind


def make_baseline(config: BaselineConfig, inputs: Callable[[], Tensor]) -> Baseline:
    """The baseline; `inputs` gives the data whose mean is meant, as the models are given them."""
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
    """The value function for one label; `answers` are the classes' tokens where models go on with them."""
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
                f"value: {name} gives a {type(value).__name__} for a label; it must return a function: logits (batch, "
                "classes) -> (batch,)"
            )
    return value  # type: ignore[no-any-return]


# Numbers in a batch of inputs at which CPUs are about fastest: 16 pictures of 224 pixels, 256 of 48 (measured).
_BATCH_NUMBERS = 2**21
_LEAST, _TEXTS, _MOST = 8, 128, 256
_LARGEST = 2**20
# A GPU wants more at a time.
_GPU_TIMES = 8


def _usual_batch(numbers: int | None) -> int:
    """A power of two near the fastest size, from what one input holds."""
    if numbers is None:
        return _TEXTS
    return int(min(max(2 ** round(log2(_BATCH_NUMBERS / numbers)), _LEAST), _MOST))


class EvaluationConfig(Section, Options):  # type: ignore[misc]  # frozen, as all sections are
    """How the models are run: as for `bequeath.evaluate`, but on cuda by default where there is one."""

    batch_size: int | Literal["auto"] | None = None
    """By default from the size of the inputs, the same every time; auto: the fastest that fits into memory, found on
    the work itself, so that numbers differ in their last digits from run to run."""

    @field_validator("batch_size")
    @classmethod
    def _positive(cls, size: int | str | None) -> int | str | None:
        if isinstance(size, int) and not 1 <= size <= _LARGEST:
            raise ValueError(f"1 to {_LARGEST:,}, or auto")
        return size

    def make(self, numbers: int | None) -> Evaluation:
        """As `bequeath.evaluate` wants it; `numbers` are those of one input, None for texts."""
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        size: int | None
        if self.batch_size is None:
            size = _usual_batch(numbers) * (_GPU_TIMES if device.startswith("cuda") else 1)
        else:
            size = None if isinstance(self.batch_size, str) else self.batch_size
        return Evaluation(size, **{**asdict(self), "device": device})
