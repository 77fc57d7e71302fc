"""How a classifier is called, and how logits are read from its output."""

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
    """The logits of a classifier: `model(x)` for a tensor, `model(**inputs)` for a mapping.

    Parameters
    ----------
    model : nn.Module
        Returns logits as a tensor or as `.logits`. A language model returns logits for every position of a text (batch,
        positions, vocabulary); they are read at the last position that is attended to.
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
            # Skip the logits of all other positions, which often need more memory than all else.
            last_only = {"logits_to_keep": 1}
        return read_logits(model, call(model, inputs, **last_only), batch_of(inputs), attended)
    return read_logits(model, call(model, inputs), len(inputs))


def call(model: nn.Module, inputs: Inputs, **more: Any) -> Any:
    """The output of a model for one batch: `model(x)`, or `model(**inputs)` with the inputs that its forward takes.

    The model gets copies, which it may change in place, in the floating dtype of its parameters.

    Raises
    ------
    BequeathError
        If the forward pass fails; the message says what the model got and what it takes. Errors for lack of memory are
        raised as they are.
    """
    dtype = next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), torch.float32)
    try:
        if isinstance(inputs, Mapping):
            parameters = inspect.signature(model.forward).parameters
            takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
            taken = {n: _copied(value, dtype) for n, value in inputs.items() if takes_all or n in parameters}
            return model(**taken, **more)
        return model(_copied(inputs, dtype))
    except BequeathError:
        raise
    except Exception as error:  # a user's model may fail in any way
        if is_out_of_memory(error):
            raise
        raise BequeathError(
            f"model {type(model).__name__}: its forward pass fails on {_described(inputs)}: "
            f"{type(error).__name__}: {first_line(error)}{_remedy(model, inputs, error)}"
        ) from error


def _copied(value: Any, dtype: torch.dtype) -> Any:
    if not isinstance(value, Tensor):
        return value
    # The rows of an expanded tensor share memory; a clone has memory for each row.
    return value.to(dtype, copy=True) if value.is_floating_point() else value.clone()


def _described(inputs: Inputs) -> str:
    named = inputs.items() if isinstance(inputs, Mapping) else [("", inputs)]
    return ", ".join(
        f"{name} {str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}".strip()
        for name, value in named
        if isinstance(value, Tensor)
    )


def _remedy(model: nn.Module, inputs: Inputs, error: Exception) -> str:
    """A remedy for a forward pass that fails; empty if none is known."""
    required = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    needed = [
        parameter.name
        for parameter in inspect.signature(model.forward).parameters.values()
        if parameter.default is parameter.empty and parameter.kind in required
    ]
    if isinstance(inputs, Mapping):
        absent = [name for name in needed if name not in inputs]
        if absent:
            return f"; it needs {', '.join(absent)}, and gets {', '.join(inputs)}"
        return (
            "; the text may be longer, or a token's number larger, than the model takes"
            if _is_index(error)
            else ""
        )
    if len(needed) != 1:
        return f"; its forward takes {', '.join(needed) or 'nothing'}, and gets one tensor"
    conv = next(((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), None)
    if conv is not None and inputs.ndim == 4 and conv[1].in_channels != inputs.shape[1]:
        return f"; its first convolution ({conv[0]}) takes {conv[1].in_channels} channels" + (
            " (data: mean and std of one value each give images in grey)" if conv[1].in_channels == 1 else ""
        )
    if inputs.ndim == 4 and "shape" in str(error):
        return "; it may be made for images of another size (data: size)"
    return ""


def _is_index(error: Exception) -> bool:
    return isinstance(error, IndexError) or "index" in str(error)


def read_logits(model: nn.Module, given: Any, batch: int, attended: Tensor | None = None) -> Tensor:
    """The logits (batch, classes) in the output of a model for a batch; `attended` is the attention mask of a text.

    Raises
    ------
    BequeathError
        As `logits` does.
    """
    output = getattr(given, "logits", given)
    if not isinstance(output, Tensor):
        raise BequeathError(
            f"model {type(model).__name__}: returns a {type(given).__name__}; it must return logits (batch, "
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
    """The config of a model of `transformers`; None for all other models, even if they have a `config` of their own."""
    try:
        config = getattr(model, "config", None)
    except Exception:  # a property of the user's own
        return None
    return config if hasattr(type(config), "model_type") else None


def in_eval_mode(model: nn.Module) -> nn.Module:
    """The model itself, in eval mode; what its own `eval` returns is ignored.

    Raises
    ------
    BequeathError
        If its `eval` fails.
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
    """Whether two ways of running a model give the same logits, up to a share of the largest one.

    Rounding in float32 stays far below the default tolerance; a missing or wrong part of the network exceeds it.
    """
    if given.shape != expected.shape:
        return False
    return bool((given - expected).abs().max() <= tolerance * expected.abs().max())


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Restore the training mode of every module afterwards.

    Each module is restored separately: frozen parts of a model in training may be in eval mode.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """Device of a model's parameters; the CPU if it has none."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device
