"""What a model gives: how many logits, and whether they are usable."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, logits, modes_kept


def num_outputs(model: nn.Module, inputs: Inputs) -> int:
    """Number of logits that the model gives, found by calling it on a batch in eval mode."""
    return int(_eval_logits(model, inputs).shape[1])


def check_outputs(model: nn.Module, inputs: Inputs, num_classes: int | None, name: str) -> None:
    """Refuse a model whose outputs cannot belong to the labels, before any work is spent on it.

    Parameters
    ----------
    model : nn.Module
        Called once, in eval mode.
    inputs : Tensor or mapping of str to Tensor
        A small batch of real inputs.
    num_classes : int or None
        Number of logits that belong to the data; None: any number.
    name : str
        The model's name in errors.

    Raises
    ------
    BequeathError
        If the number of outputs differs from `num_classes`, or an output is NaN or infinite.
    """
    output = _eval_logits(model, inputs)
    if num_classes is not None and output.shape[1] != num_classes:
        raise BequeathError(
            f"model {name}: {output.shape[1]} outputs, but the data have {num_classes} classes; give a model "
            "trained on these classes, or the data's classes in the model's order"
        )
    bad = ~torch.isfinite(output).all(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise BequeathError(
            f"model {name}: output {output[row].tolist()[:5]} on input {row} is not finite; check weights "
            "and inputs"
        )


def _eval_logits(model: nn.Module, inputs: Inputs) -> Tensor:
    with modes_kept(model), torch.inference_mode():
        return logits(model.eval(), inputs)
