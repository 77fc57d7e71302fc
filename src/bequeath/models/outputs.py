"""What a model gives: how many outputs, whether they are logits, and whether the same input gives the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, in_eval_mode, logits, modes_kept, same_logits

_REPEATS = 3
# Of the largest logit: rounding by the size of a batch stays far below, anything that is drawn at random far above.
_TOLERANCE = 1e-3
_ROUNDING = 1e-4
# Steps of autograd that change the form of an output, not what it says.
_FORM = (
    "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Transpose", "Permute", "T",
    "Clone", "ToCopy", "Copy", "Alias", "Index", "Expand", "Clamp", "Cat", "Stack",
)  # fmt: skip


def num_outputs(model: nn.Module, inputs: Inputs) -> int:
    """Number of logits that the model gives, found by calling it on a batch in eval mode."""
    return int(_eval_logits(model, inputs).shape[1])


def check_outputs(
    model: nn.Module, inputs: Inputs, num_classes: int | None, name: str, *, as_logits: bool = True
) -> None:
    """Refuse a model whose outputs cannot belong to the labels, before any work is spent on it.

    Parameters
    ----------
    model : nn.Module
        Called a few times, in eval mode.
    inputs : Tensor or mapping of str to Tensor
        A small batch of real inputs.
    num_classes : int or None
        Number of logits that belong to the data; None: any number.
    name : str
        Begins the errors, such as ``models.finetuned``.
    as_logits : bool
        Whether outputs are read as logits, so that probabilities are refused.

    Raises
    ------
    BequeathError
        If the number of outputs differs from `num_classes`; an output is NaN or infinite; the same input does not give
        the same output, alone or beside others; or outputs are probabilities and `as_logits`.
    """
    try:
        output = _eval_logits(model, inputs)
    except BequeathError as error:
        raise BequeathError(f"{name}: {error}") from error
    if num_classes is not None and output.shape[1] != num_classes:
        raise BequeathError(
            f"{name}: {output.shape[1]} outputs, but the data have {num_classes} classes; give a model "
            "trained on these classes, or the data's classes in the model's order"
        )
    bad = ~torch.isfinite(output).all(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise BequeathError(
            f"{name}: output {output[row].tolist()[:5]} on input {row} is not finite; check weights "
            "and inputs"
        )
    _check_repeats(model, inputs, output, name)
    if as_logits:
        _check_logits(model, inputs, output, name)


def _check_repeats(model: nn.Module, inputs: Inputs, output: Tensor, name: str) -> None:
    for _ in range(_REPEATS):
        again = _eval_logits(model, inputs)
        if not same_logits(again, output, _TOLERANCE):
            raise BequeathError(
                f"{name}: the same input gives {_few(output)}, then {_few(again)}; dropout or noise is at work "
                "in eval mode: give F.dropout its training=self.training, or take the noise out"
            )
    alone = torch.cat([_eval_logits(model, _rows(inputs, i, i + 1)) for i in range(len(output))])
    if not same_logits(alone, output, _TOLERANCE):
        raise BequeathError(
            f"{name}: an input gives {_few(alone)} alone and {_few(output)} beside others; normalisation over "
            "the batch is at work in eval mode: let eval() reach every module, or normalise over each input"
        )


def _check_logits(model: nn.Module, inputs: Inputs, output: Tensor, name: str) -> None:
    """Refuse probabilities: a log-odds of them is no log-odds."""
    if (output < 0).any() or (output > 1).any():
        return
    sums_to_one = output.shape[1] > 1 and bool((output.sum(1) - 1).abs().max() < _ROUNDING)
    if sums_to_one or _ends_in_probabilities(model, inputs) or _is_squashed(model, inputs):
        what = "rows sum to 1" if sums_to_one else "all lie between 0 and 1, whatever is given"
        raise BequeathError(
            f"{name}: its outputs are probabilities ({what}: {_few(output)}), and logits are needed; give the "
            "model without its last softmax or sigmoid, or its logarithm"
        )


def _ends_in_probabilities(model: nn.Module, inputs: Inputs) -> bool:
    """Whether the last thing that the model does is a softmax or sigmoid, as autograd saw it."""
    with modes_kept(model), _gradients(model), torch.enable_grad():
        step = logits(in_eval_mode(model), _rows(inputs, 0, 1)).grad_fn
    while step is not None and step.name().removesuffix("0").removesuffix("Backward") in _FORM:
        step = next((before for before, _ in step.next_functions if before is not None), None)
    return step is not None and step.name().startswith(("Sigmoid", "Softmax"))


@contextmanager
def _gradients(model: nn.Module) -> Iterator[None]:
    """Every parameter that can have a gradient has one."""
    frozen = [one for one in model.parameters() if one.is_floating_point() and not one.requires_grad]
    for one in frozen:
        one.requires_grad_(True)
    try:
        yield
    finally:
        for one in frozen:
            one.requires_grad_(False)


def _is_squashed(model: nn.Module, inputs: Inputs) -> bool:
    """Whether inputs a hundred times too strong still give what lies between 0 and 1, and reach both."""
    if isinstance(inputs, Mapping):
        return False
    try:
        found = torch.cat([_eval_logits(model, factor * inputs) for factor in (100.0, -100.0)])
    except BequeathError:  # its own business with such inputs
        return False
    inside = bool((found >= 0).all() and (found <= 1).all())
    return inside and bool((found < 0.05).any() and (found > 0.95).any())


def _rows(inputs: Inputs, first: int, behind: int) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: value[first:behind] for name, value in inputs.items()}
    return inputs[first:behind]


def _few(output: Tensor) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in output[0, :4].tolist()) + "]"


def _eval_logits(model: nn.Module, inputs: Inputs) -> Tensor:
    with modes_kept(model), torch.inference_mode():
        return logits(in_eval_mode(model), inputs)
