"""Checks of a model's outputs: their number, whether they are logits, and whether they repeat for the same input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, in_eval_mode, logits, modes_kept, same_logits

_REPEATS = 3
# Relative to the largest logit. Rounding that depends on the batch size is far below; random numbers are far above.
_TOLERANCE = 1e-3
_ROUNDING = 1e-4
# Steps of autograd that change an output's shape or place, not its values.
_RESHAPING = (
    "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Transpose", "Permute", "T",
    "Clone", "ToCopy", "Copy", "Alias", "Index", "Expand", "Clamp", "Cat", "Stack",
)  # fmt: skip


def num_outputs(model: nn.Module, inputs: Inputs) -> int:
    """Count a model's logits by calling it on a batch, in eval mode.

    Examples
    --------
    >>> num_outputs(mlp(num_classes=3, num_features=4), torch.randn(2, 4))
    3
    """
    return int(_eval_logits(model, inputs).shape[1])


def check_outputs(
    model: nn.Module, inputs: Inputs, num_classes: int | None, name: str, *, as_logits: bool = True
) -> None:
    """Refuse a model whose outputs do not fit the labels, before long work starts.

    Parameters
    ----------
    model : nn.Module
        Called a few times, in eval mode.
    inputs : Tensor or mapping of str to Tensor
        A small batch of real inputs.
    num_classes : int or None
        Number of classes of the data; None allows any number of outputs.
    name : str
        Begins the errors, such as ``models.finetuned``.
    as_logits : bool
        Whether outputs are read as logits; probabilities are then refused.

    Raises
    ------
    BequeathError
        If the number of outputs differs from `num_classes`; an output is NaN or infinite; the same input gives
        different outputs when it is repeated, or in a batch of other samples; or outputs are probabilities and
        `as_logits` is true.

    Examples
    --------
    >>> check_outputs(mlp(num_classes=3, num_features=4), torch.randn(2, 4), 3, "models.mine")
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
        repeated = _eval_logits(model, inputs)
        if not same_logits(repeated, output, _TOLERANCE):
            raise BequeathError(
                f"{name}: the same input gives {_few(output)}, then {_few(repeated)}; dropout or noise is active "
                "in eval mode: give F.dropout training=self.training, or remove the noise"
            )
    alone = torch.cat([_eval_logits(model, _rows(inputs, i, i + 1)) for i in range(len(output))])
    if not same_logits(alone, output, _TOLERANCE):
        raise BequeathError(
            f"{name}: an input gives {_few(alone)} alone and {_few(output)} beside others; normalisation over the "
            "batch is active in eval mode: let eval() reach every module, or normalise over each input"
        )


def _check_logits(model: nn.Module, inputs: Inputs, output: Tensor, name: str) -> None:
    """Refuse probabilities, since log-odds computed from them would be wrong."""
    if (output < 0).any() or (output > 1).any():
        return
    sums_to_one = output.shape[1] > 1 and bool((output.sum(1) - 1).abs().max() < _ROUNDING)
    if sums_to_one or _ends_in_probabilities(model, inputs) or _is_squashed(model, inputs):
        sign = "rows sum to 1" if sums_to_one else "all lie between 0 and 1 for any input"
        raise BequeathError(
            f"{name}: its outputs are probabilities ({sign}: {_few(output)}), but logits are needed; give the "
            "model without its last softmax or sigmoid, or with a logarithm after it"
        )


def _ends_in_probabilities(model: nn.Module, inputs: Inputs) -> bool:
    """Whether the model's last step is a softmax or sigmoid, by autograd's record."""
    with modes_kept(model), _gradients(model), torch.enable_grad():
        step = logits(in_eval_mode(model), _rows(inputs, 0, 1)).grad_fn
    while step is not None and step.name().removesuffix("0").removesuffix("Backward") in _RESHAPING:
        step = next((before for before, _ in step.next_functions if before is not None), None)
    return step is not None and step.name().startswith(("Sigmoid", "Softmax"))


@contextmanager
def _gradients(model: nn.Module) -> Iterator[None]:
    """Let all parameters require gradients while the `with` statement lasts."""
    frozen = [p for p in model.parameters() if p.is_floating_point() and not p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _is_squashed(model: nn.Module, inputs: Inputs) -> bool:
    """Whether outputs stay between 0 and 1, and reach both, for inputs a hundred times as large."""
    if isinstance(inputs, Mapping):
        return False
    try:
        outputs = torch.cat([_eval_logits(model, factor * inputs) for factor in (100.0, -100.0)])
    except BequeathError:  # the model need not accept such inputs
        return False
    inside = bool((outputs >= 0).all() and (outputs <= 1).all())
    return inside and bool((outputs < 0.05).any() and (outputs > 0.95).any())


def _rows(inputs: Inputs, first: int, end: int) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: value[first:end] for name, value in inputs.items()}
    return inputs[first:end]


def _few(output: Tensor) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in output[0, :4].tolist()) + "]"


def _eval_logits(model: nn.Module, inputs: Inputs) -> Tensor:
    with modes_kept(model), torch.inference_mode():
        return logits(in_eval_mode(model), inputs)
