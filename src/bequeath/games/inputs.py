"""What a classifier is given, and the one way in which its output is read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError

Modality = Literal["image", "text", "table"]
Inputs = Tensor | Mapping[str, Tensor]


def batch_of(inputs: Inputs) -> int:
    """Number of samples in one batch."""
    return len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)


def logits(model: nn.Module, inputs: Inputs) -> Tensor:
    """Call a classifier the way it wants: `model(x)` or `model(**inputs)`.

    Parameters
    ----------
    model : nn.Module
        Gives logits as a tensor or as `.logits`. A language model, which gives logits for every position of a text
        (batch, positions, vocabulary), is read at the last position that is attended to.
    inputs : Tensor or mapping of str to Tensor
        One batch.

    Returns
    -------
    Tensor
        Shape (batch, classes), or (batch, vocabulary).

    Raises
    ------
    BequeathError
        If the model gives something else, naming its class.
    """
    if isinstance(inputs, Mapping):
        attended = inputs.get("attention_mask")
        last_only: dict[str, Any] = {}
        if _keeps_last(model) and (attended is None or bool(attended[:, -1].all())):
            # The logits of the other positions, often larger than all else, are not even made.
            last_only = {"logits_to_keep": 1}
        return read_logits(model, model(**inputs, **last_only), batch_of(inputs), attended)
    return read_logits(model, model(inputs), len(inputs))


def read_logits(model: nn.Module, given: Any, batch: int, attended: Tensor | None = None) -> Tensor:
    """The logits (batch, classes) in what a model gave for a batch; `attended` is a text's attention mask.

    Raises
    ------
    BequeathError
        As `logits` does.
    """
    output = getattr(given, "logits", given)
    if not isinstance(output, Tensor):
        raise BequeathError(
            f"model {type(model).__name__}: gives a {type(given).__name__}; it must give logits (batch, "
            "classes), as a tensor or as .logits"
        )
    if output.ndim == 3 and hasattr(given, "logits"):
        if attended is None or output.shape[1] == 1:
            output = output[:, -1]
        else:
            position = torch.arange(attended.shape[1], device=attended.device)
            last = (attended.bool() * position).argmax(1) - (attended.shape[1] - output.shape[1])
            output = output[torch.arange(len(output), device=output.device), last]
    if output.ndim != 2 or len(output) != batch:
        raise BequeathError(
            f"model {type(model).__name__}: output has shape {tuple(output.shape)} for {batch} inputs; it "
            "must be (batch, classes)"
        )
    return output


def _keeps_last(model: nn.Module) -> bool:
    return "logits_to_keep" in inspect.signature(model.forward).parameters


def same_logits(given: Tensor, expected: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two ways of running a model agree, to a share of the largest logit.

    Float32 rounding stays far below the default; anything left out, or folded wrongly, does not.
    """
    if given.shape != expected.shape:
        return False
    return bool((given - expected).abs().max() <= tolerance * expected.abs().max())


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Training mode of every module is afterwards as before: one by one, as frozen parts of a model that is being
    trained may be in eval mode already."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are; the CPU for one without any."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device
