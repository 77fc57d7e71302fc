"""Loads a state dict into a model, reports what does not fit, and refuses what cannot be meant."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError, BequeathWarning, few, first_line
from bequeath.models.heads import find_heads
from bequeath.models.state_names import INCIDENTAL
from bequeath.models.state_sets import words

# Names of what is trained along with a model but is no part of it.
_NOT_THE_MODEL = frozenset({"loss", "losses", "criterion", "criterions", "metric", "metrics"})
# Parts of names that adapters add, and that quantisation adds.
_ADAPTED = re.compile(r"\.(lora_\w+|base_layer|modules_to_save|original_module)\b")
_QUANTISED = re.compile(r"(_packed_params|zero_point|SCB|qweight|qzeros|absmax|quant_map)\b")


def fit_state(
    model: nn.Module,
    state: Mapping[str, Tensor],
    place: str,
    *,
    strict: bool = True,
    skip: Sequence[str] = (),
    allowed: set[str] | frozenset[str] = frozenset(),
) -> nn.Module:
    """Load a state dict into a model, in place. Names that do not fit are an error, or are left out with a warning.

    Parameters
    ----------
    model : nn.Module
        Gets the values.
    state : mapping of str to Tensor
        Under the model's names.
    place : str
        Begins the errors.
    strict : bool
        Whether missing and unexpected names are errors.
    skip : sequence of str
        Submodules that keep their weights.
    allowed : set of str
        Names that are not loaded and may be missing.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    BequeathError
        If names, shapes or kinds of numbers do not fit.
    """
    skipped = tuple(f"{name}." for name in skip)
    target = {name: value for name, value in model.state_dict().items() if not name.startswith(skipped)}
    state = {name: value for name, value in state.items() if not name.startswith(skipped)}
    fitting = {name: value for name, value in state.items() if name in target and name not in allowed}
    if not fitting:
        raise BequeathError(
            f"{place}: none of its {len(state)} names fits {type(model).__name__} (the file has: "
            f"{few(list(state), 3)}; the model needs: {few(list(target), 3)}); {_remedy(state)}"
        )
    _check_numbers(place, fitting, target)
    _check_shapes(place, fitting, model)
    # Tied weights share memory and are saved under one of their names only.
    loaded = {target[name].data_ptr() for name in fitting}
    missing = [
        name
        for name, value in target.items()
        if name not in fitting
        and name not in allowed
        and not name.endswith(INCIDENTAL)
        and value.data_ptr() not in loaded
    ]
    unexpected = [name for name in state if name not in target and not name.endswith(INCIDENTAL)]
    foreign = [] if missing else _foreign(model, {name: state[name] for name in unexpected})
    if strict and (missing or len(foreign) < len(unexpected)):
        parts = [
            f"{len(names)} {problem} ({few(names, 3)})"
            for names, problem in (
                (missing, "missing from the file"),
                ([name for name in unexpected if name not in foreign], "not in the model"),
            )
            if names
        ]
        raise BequeathError(
            f"{place}: names do not fit {type(model).__name__}: {'; '.join(parts)}; {_remedy(state)}"
        )
    if strict and foreign:
        warnings.warn(
            f"{place}: left out, since they are not the model's: {few(foreign, 4)}",
            BequeathWarning,
            stacklevel=3,
        )
    try:
        model.load_state_dict({name: _dense(value) for name, value in fitting.items()}, strict=False)
    except (RuntimeError, NotImplementedError) as error:  # rare kinds of tensors that torch cannot copy
        raise BequeathError(
            f"{place}: cannot be copied into {type(model).__name__} ({first_line(error)}); save plain tensors"
        ) from error
    return model


def _dense(value: Tensor) -> Tensor:
    return value if value.layout is torch.strided else value.to_dense()


def _foreign(model: nn.Module, unexpected: Mapping[str, Tensor]) -> list[str]:
    """Names of losses, metrics and counters: top-level parts that the model lacks and that look like no layer of it."""
    own_parts = {name.partition(".")[0] for name in model.state_dict()} | {
        name for name, _ in model.named_children()
    }
    stems = {_stem(name) for name in own_parts}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in unexpected.items():
        parts.setdefault(name.partition(".")[0], {})[name] = value
    return [
        name
        for part, values in parts.items()
        if part not in own_parts
        and (
            words(part) & _NOT_THE_MODEL or not (_stem(part) in stems or part.isdigit() or _is_layer(values))
        )
        for name in values
    ]


def _stem(name: str) -> str:
    """A name without its final number: conv2 is a sibling of conv1."""
    return name.rstrip("0123456789_")


def _is_layer(values: Mapping[str, Tensor]) -> bool:
    """Whether the tensors look like a layer: a matrix, or the two vectors of a norm."""
    ends = {name.rpartition(".")[2] for name, value in values.items() if value.ndim == 1}
    matrix = any(value.ndim > 1 and value.is_floating_point() for value in values.values())
    return matrix or {"weight", "bias"} <= ends or "running_mean" in ends


def _remedy(state: Mapping[str, Tensor]) -> str:
    if any(_ADAPTED.search(f".{name}") for name in state):
        return (
            "it holds a PEFT adapter: give the adapter's folder and its base (base: in a study file), or save "
            "model.merge_and_unload().state_dict()"
        )
    if any(_QUANTISED.search(name) or _is_quantised(value) for name, value in state.items()):
        return "it looks quantised: give the float weights that it was made from"
    return "check the architecture"


def _is_quantised(value: Tensor) -> bool:
    return value.is_quantized or (value.ndim > 1 and value.dtype in (torch.int8, torch.uint8, torch.int32))


def _check_numbers(place: str, fitting: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Refuse numbers of another type: integers without their scales are no weights."""
    for name, value in fitting.items():
        if name.endswith(INCIDENTAL) or value.is_meta:
            continue
        own = target[name]
        holds, needs = (str(tensor.dtype).removeprefix("torch.") for tensor in (value, own))
        # 8-bit floats come with scales, so they are no weights by themselves.
        real = value.is_floating_point() and value.element_size() > 1
        if own.is_floating_point() and not real:
            remedy = "quantised weights are useless without their scales; give the float weights of the model"
            if value.is_complex():
                remedy = "give real weights"
            raise BequeathError(f"{place}: {name} holds {holds}, the model computes with {needs}; {remedy}")
        # Integer buffers (tables of positions) may have been saved as floats along with the weights. They are
        # harmless if their values are the model's.
        model_has_integers = not (own.is_floating_point() or own.is_complex())
        if model_has_integers and real and value.shape == own.shape:
            integers = value.to(own.dtype)
            if not torch.equal(integers.to(value.dtype), value) or not torch.equal(integers, own.cpu()):
                raise BequeathError(
                    f"{place}: {name} holds {holds}, the model has {needs}, and the values differ; save it with the "
                    "model's dtype"
                )


def _check_shapes(place: str, fitting: dict[str, Tensor], model: nn.Module) -> None:
    target = model.state_dict()
    wrong = {
        name: (tuple(value.shape), tuple(target[name].shape))
        for name, value in fitting.items()
        if value.shape != target[name].shape
    }
    if not wrong:
        return
    has_linear = any(name and isinstance(module, nn.Linear) for name, module in model.named_modules())
    heads = find_heads(model) if has_linear else ()
    if all(
        name.rpartition(".")[0] in heads and saved[1:] == needed[1:]
        for name, (saved, needed) in wrong.items()
    ):
        name, (saved, needed) = next(iter(wrong.items()))
        raise BequeathError(
            f"{place}: the saved model has {saved[0]} outputs ({name}), the labels need {needed[0]}; "
            "give weights trained on these classes, or use it as a backbone with a probe as its head"
        )
    shown = ", ".join(f"{name} {saved} for {needed}" for name, (saved, needed) in list(wrong.items())[:3])
    raise BequeathError(
        f"{place}: {len(wrong)} shapes differ from the model's "
        f"({shown}{', ...' if len(wrong) > 3 else ''}); check the architecture and its arguments"
    )
