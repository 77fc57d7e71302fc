"""What a classifier is given, and the one way in which it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from bequeath.errors import BequeathError

Kind = Literal["image", "text"]
Inputs = Tensor | Mapping[str, Tensor]


def logits(model: nn.Module, inputs: Inputs) -> Tensor:
    """Call a classifier the way it wants: `model(x)` or `model(**inputs)`.

    Parameters
    ----------
    model : nn.Module
        Gives logits as a tensor or as `.logits`.
    inputs : Tensor or mapping of str to Tensor
        One batch.

    Returns
    -------
    Tensor
        Shape (batch, classes).

    Raises
    ------
    BequeathError
        If the model gives something else, naming its class.
    """
    given = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    output = getattr(given, "logits", given)
    if not isinstance(output, Tensor):
        raise BequeathError(
            f"model {type(model).__name__}: gives a {type(given).__name__}; it must give logits (batch, "
            "classes), as a tensor or as .logits"
        )
    batch = len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)
    if output.ndim != 2 or len(output) != batch:
        raise BequeathError(
            f"model {type(model).__name__}: output has shape {tuple(output.shape)} for {batch} inputs; it "
            "must be (batch, classes)"
        )
    return output
