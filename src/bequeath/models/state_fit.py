"""A named state into a model: what does not fit is told, and what cannot be meant is refused."""

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

# What is trained beside a model, and is no part of what it computes.
_BESIDE = frozenset({"loss", "losses", "criterion", "criterions", "metric", "metrics"})
# What adapters put into names, and what quantisation does.
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
    """Load what fits of a state under the model's names, in place, and report the rest.

    Parameters
    ----------
    model, state, place
        What is loaded into what, and the state's name in errors.
    strict : bool
        Whether missing and unexpected names are errors.
    skip : sequence of str
        Submodules that keep what they have.
    allowed : set of str
        Names that may be missing, and keep what they have.

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
            f"{place}: none of its {len(state)} names fits {type(model).__name__} (there: "
            f"{few(list(state), 3)}; needed: {few(list(target), 3)}); {_remedy(state)}"
        )
    _check_numbers(place, fitting, target)
    _check_shapes(place, fitting, model)
    # Tensors that share memory are saved under one of their names only.
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
            f"{len(names)} {what} ({few(names, 3)})"
            for names, what in (
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
            f"{place}: not of the model, left out: {few(foreign, 4)}", BequeathWarning, stacklevel=3
        )
    try:
        model.load_state_dict({name: _dense(value) for name, value in fitting.items()}, strict=False)
    except (RuntimeError, NotImplementedError) as error:  # tensors of a kind that nobody computes with
        raise BequeathError(
            f"{place}: cannot be copied into {type(model).__name__} ({first_line(error)}); save plain tensors"
        ) from error
    return model


def _dense(value: Tensor) -> Tensor:
    return value if value.layout is torch.strided else value.to_dense()


def _foreign(model: nn.Module, unexpected: Mapping[str, Tensor]) -> list[str]:
    """Names of losses, metrics and counters: parts that the model does not have, and that look like no layer of it."""
    own = {name.partition(".")[0] for name in model.state_dict()} | {
        name for name, _ in model.named_children()
    }
    stems = {_stem(name) for name in own}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in unexpected.items():
        parts.setdefault(name.partition(".")[0], {})[name] = value
    return [
        name
        for part, values in parts.items()
        if part not in own
        and (words(part) & _BESIDE or not (_stem(part) in stems or part.isdigit() or _is_layer(values)))
        for name in values
    ]


def _stem(name: str) -> str:
    """A name without its number: conv2 stands beside conv1."""
    return name.rstrip("0123456789_")


def _is_layer(values: Mapping[str, Tensor]) -> bool:
    """Whether there are weights such as layers have: matrices, or a norm's two vectors."""
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
        return "it looks quantised: give the float weights that it was made of"
    return "check the architecture"


def _is_quantised(value: Tensor) -> bool:
    return value.is_quantized or (value.ndim > 1 and value.dtype in (torch.int8, torch.uint8, torch.int32))


def _check_numbers(place: str, fitting: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Refuse numbers of another kind: whole numbers without their scales are no weights."""
    for name, value in fitting.items():
        if name.endswith(INCIDENTAL) or value.is_meta:
            continue
        own = target[name]
        holds, needs = (str(one.dtype).removeprefix("torch.") for one in (value, own))
        real = (
            value.is_floating_point() and value.element_size() > 1
        )  # numbers of one byte have scales beside them
        if own.is_floating_point() and not real:
            remedy = (
                "quantised weights mean nothing without their scales; give the float weights of the model"
            )
            if value.is_complex():
                remedy = "give real weights"
            raise BequeathError(f"{place}: {name} holds {holds}, the model computes with {needs}; {remedy}")
        # Tables of positions that were halved with the weights do no harm where nothing got lost.
        whole_there = not (own.is_floating_point() or own.is_complex())
        if whole_there and real and value.shape == own.shape:
            whole = value.to(own.dtype)
            if not torch.equal(whole.to(value.dtype), value) or not torch.equal(whole, own.cpu()):
                raise BequeathError(
                    f"{place}: {name} holds {holds}, the model {needs}, and they differ; save it as it is in the model"
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
    linear = any(name and isinstance(module, nn.Linear) for name, module in model.named_modules())
    heads = find_heads(model) if linear else ()
    if all(
        name.rpartition(".")[0] in heads and saved[1:] == needed[1:]
        for name, (saved, needed) in wrong.items()
    ):
        name, (saved, needed) = next(iter(wrong.items()))
        raise BequeathError(
            f"{place}: the saved model has {saved[0]} outputs ({name}), the labels need {needed[0]}; "
            "give weights trained on these classes, or use it as a backbone whose head a probe replaces"
        )
    shown = ", ".join(f"{name} {saved} for {needed}" for name, (saved, needed) in list(wrong.items())[:3])
    raise BequeathError(
        f"{place}: {len(wrong)} shapes differ from the model's "
        f"({shown}{', ...' if len(wrong) > 3 else ''}); check the architecture and its arguments"
    )
