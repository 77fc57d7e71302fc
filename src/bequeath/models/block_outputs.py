"""What the blocks of a model give in a forward pass, and in which order the model calls them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.games.inputs import Inputs, call, in_eval_mode
from bequeath.models.blocks import Block


def call_order(model: nn.Module, parts: Sequence[Block], inputs: Inputs) -> list[str]:
    """Find out in which order a model calls its blocks.

    Parameters
    ----------
    model : nn.Module
        Run once, in eval mode.
    parts : sequence of Block
    inputs : Tensor or mapping of str to Tensor
        One batch.

    Returns
    -------
    list of str
        Names of the blocks, by their first call. A block that is not called is left out.
    """
    order: list[str] = []

    def record(name: str) -> Any:
        return lambda *_: None if name in order else order.append(name)

    handles = [
        model.get_submodule(path).register_forward_pre_hook(record(block.name))
        for block in parts
        for path in block.modules
    ]
    try:
        with torch.inference_mode():
            call(in_eval_mode(model), inputs)
    finally:
        for handle in handles:
            handle.remove()
    return order


@contextmanager
def outputs_of(model: nn.Module, parts: Sequence[Block]) -> Iterator[dict[str, Tensor]]:
    """Record each block's output while the `with` statement lasts.

    Yields
    ------
    dict of str to Tensor
        By the block's name, the output of its last module in the model's latest forward pass. If that module is called
        several times, its last call counts. A block that was not called is not in it.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            tensor = _first_tensor(output)
            if tensor is not None:
                outputs[name] = tensor.detach()

        return hook

    handles = [
        model.get_submodule(block.modules[-1]).register_forward_hook(keep(block.name)) for block in parts
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _first_tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    values = (
        output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    )
    return next((value for value in values if isinstance(value, Tensor)), None)


def pooled(output: Tensor, attended: Tensor | None = None) -> Tensor:
    """The mean of a block's output over positions.

    Parameters
    ----------
    output : Tensor
        Shape (batch, features), (batch, positions, features), or (batch, channels, height, width), also with the
        channels last.
    attended : Tensor, optional
        Shape (batch, positions): 1 where a text has a token. Other positions are left out of the mean.

    Returns
    -------
    Tensor
        float32 on the CPU, shape (batch, features).
    """
    output = output.float()
    if output.ndim == 4:
        channels_last = output.shape[1] == output.shape[2] != output.shape[3]
        output = output.mean((1, 2) if channels_last else (2, 3))
    elif output.ndim == 3 and attended is not None and attended.shape == output.shape[:2]:
        shown = attended.to(output.dtype)[..., None]
        output = (output * shown).sum(1) / shown.sum(1)
    elif output.ndim == 3:
        output = output.mean(1)
    return output.flatten(1).cpu()
