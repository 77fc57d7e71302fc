"""What a classifier is given, and the one way in which its output is read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError, first_line
from bequeath.games.memory import is_out_of_memory

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
        return read_logits(model, call(model, inputs, **last_only), batch_of(inputs), attended)
    return read_logits(model, call(model, inputs), len(inputs))


def call(model: nn.Module, inputs: Inputs, **more: Any) -> Any:
    """What a model gives for one batch: `model(x)`, or `model(**inputs)` with those that its forward takes.

    It is given copies, so that it may work on them in place, in the floating dtype of its own parameters.

    Raises
    ------
    BequeathError
        If its forward pass fails: what it was given, and what it takes. Memory that runs out is left as it is.
    """
    dtype = next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.float32)
    try:
        if isinstance(inputs, Mapping):
            parameters = inspect.signature(model.forward).parameters
            every = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
            taken = {n: _given(value, dtype) for n, value in inputs.items() if every or n in parameters}
            return model(**taken, **more)
        return model(_given(inputs, dtype))
    except BequeathError:
        raise
    except Exception as error:  # a user's model may fail in any way
        if is_out_of_memory(error):
            raise
        raise BequeathError(
            f"model {type(model).__name__}: its forward pass fails on {_described(inputs)}: "
            f"{type(error).__name__}: {first_line(error)}{_remedy(model, inputs, error)}"
        ) from error


def _given(value: Any, dtype: torch.dtype) -> Any:
    if not isinstance(value, Tensor):
        return value
    # A tensor that stands for many rows has one memory for all of them: clone gives each its own.
    return value.to(dtype, copy=True) if value.is_floating_point() else value.clone()


def _described(inputs: Inputs) -> str:
    named = inputs.items() if isinstance(inputs, Mapping) else [("", inputs)]
    return ", ".join(
        f"{name} {str(one.dtype).removeprefix('torch.')} {tuple(one.shape)}".strip()
        for name, one in named
        if isinstance(one, Tensor)
    )


def _remedy(model: nn.Module, inputs: Inputs, error: Exception) -> str:
    """What to do about a forward pass that fails, where that can be told."""
    parameters = inspect.signature(model.forward).parameters.values()
    needed = [
        one.name
        for one in parameters
        if one.default is one.empty
        and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    if isinstance(inputs, Mapping):
        absent = [name for name in needed if name not in inputs]
        if absent:
            return f"; it needs {', '.join(absent)}, and gets {', '.join(inputs)}"
        return (
            "; a text of this length, or a token's number, may be more than it takes"
            if _is_index(error)
            else ""
        )
    if len(needed) != 1:
        return f"; its forward takes {', '.join(needed) or 'nothing'}, and gets one tensor"
    conv = next(((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), None)
    if conv is not None and inputs.ndim == 4 and conv[1].in_channels != inputs.shape[1]:
        return f"; its first convolution ({conv[0]}) takes {conv[1].in_channels} channels" + (
            " (data: mean and std of one value each give pictures in grey)"
            if conv[1].in_channels == 1
            else ""
        )
    if inputs.ndim == 4 and "shape" in str(error):
        return "; it may be made for pictures of another size (data: size)"
    return ""


def _is_index(error: Exception) -> bool:
    return isinstance(error, IndexError) or "index" in str(error)


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


def config_of(model: nn.Module) -> Any:
    """A transformers model's config; None for what others call so, whatever it is."""
    try:
        config = getattr(model, "config", None)
    except Exception:  # a property of the user's own
        return None
    return config if hasattr(type(config), "model_type") else None


def in_eval_mode(model: nn.Module) -> nn.Module:
    """The model itself, in eval mode whatever its own `eval` returns.

    Raises
    ------
    BequeathError
        If that fails.
    """
    try:
        model.eval()
    except Exception as error:  # a user's model may fail in any way
        raise BequeathError(
            f"model {type(model).__name__}: eval() fails: {type(error).__name__}: {first_line(error)}"
        ) from error
    return model


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
