"""Runs a model from a named layer on; the part before the layer runs once, or not at all.

The forward pass of the layer is replaced by a function that returns the given features. Each module that ran before it
returns its output from one recorded pass, which broadcasts over the batch. The rest of the model runs unchanged, so
branches, functions between modules and skip connections around the layer need no special treatment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, call, logits, read_logits, same_logits


class _Reached(BaseException):
    """Ends a forward pass at a layer. A BaseException, so that no `except Exception` in the model catches it."""


@dataclass
class Call:
    """The calls of one module in a forward pass: first start and last end on one clock, number, last output."""

    start: int
    end: int = -1
    count: int = 0
    output: Any = None


def first_tensor(output: Any) -> Tensor | None:
    """The output of a layer if it is a tensor, else its first part; None if that is not a tensor."""
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def _with_first(output: Any, tensor: Tensor) -> Any:
    if isinstance(output, (tuple, list)):
        return type(output)((_with_first(output[0], tensor), *output[1:]))
    return tensor


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """The submodule called `layer`.

    Raises
    ------
    BequeathError
        If there is none; the message lists similar names.
    """
    try:
        module = model.get_submodule(layer) if layer else None
    except AttributeError:
        module = None
    if module is None:
        from difflib import get_close_matches

        names = [name for name, _ in model.named_modules() if name]
        near = get_close_matches(layer, names, 4, 0.4) or names[:8]
        raise BequeathError(
            f"layer {layer!r}: no such module in {type(model).__name__}; there are {', '.join(near)}, ..."
        )
    return module


@contextmanager
def _hooks(handles: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def record(model: nn.Module, inputs: Inputs, keep: Callable[[str, Any], Any]) -> dict[str, Call]:
    """The calls of each module in one forward pass; `keep(name, output)` is stored as the output of a call."""
    calls: dict[str, Call] = {}
    clock = iter(range(1 << 60))

    def before(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            calls.setdefault(name, Call(next(clock))).count += 1

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            calls[name].end = next(clock)
            calls[name].output = keep(name, output)

        return hook

    handles = []
    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(before(name)))
            handles.append(module.register_forward_hook(after(name)))
    with _hooks(handles):
        call(model, inputs)
    return calls


def output_at(model: nn.Module, layer: str, inputs: Inputs) -> Any:
    """The output of a layer for a batch; the model after the layer is not run.

    Raises
    ------
    BequeathError
        If there is no such layer, or the forward pass does not call it.
    """
    outputs: list[Any] = []

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        outputs.append(output)
        raise _Reached

    with _hooks([find_layer(model, layer).register_forward_hook(hook)]):
        try:
            call(model, inputs)
        except _Reached:
            return outputs[0]
    raise BequeathError(
        f"layer {layer!r} of {type(model).__name__}: not called in a forward pass; give one that is called"
    )


class Resumed:
    """The part of a model after a layer, as a function of the output of the layer.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    layer : str
        Path of a module that a forward pass calls exactly once.
    inputs : Tensor or mapping of str to Tensor
        A batch of one. If the model after the layer also needs outputs from before it, these are of this sample.

    Attributes
    ----------
    features : Tensor
        The layer's output for `inputs`: (1, ...).

    Raises
    ------
    BequeathError
        If there is no such layer, it is not called exactly once, or its output is not a tensor.
    """

    def __init__(self, model: nn.Module, layer: str, inputs: Inputs) -> None:
        find_layer(model, layer)
        calls = record(model, inputs, lambda name, output: _copied(output))
        if layer not in calls or calls[layer].count != 1:
            count = calls[layer].count if layer in calls else 0
            raise BequeathError(
                f"layer {layer!r} of {type(model).__name__}: called {count} times in a forward pass; give one that "
                "is called once"
            )
        features = first_tensor(calls[layer].output)
        if features is None or features.ndim < 2 or len(features) != 1:
            raise BequeathError(
                f"layer {layer!r} of {type(model).__name__}: its output is no tensor with a batch axis; give another "
                "layer"
            )
        self.model, self.layer, self.inputs, self.features = model, layer, inputs, features
        self._output = calls[layer].output
        self._skipped = _before(calls, layer)
        self._whole = False

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (batch, classes) for outputs of the layer (batch, ...), which may be overwritten."""
        inputs = _repeated(self.inputs, len(features)) if self._whole else self.inputs
        with self._patched(features):
            return read_logits(self.model, call(self.model, inputs), len(features))

    def checked(self) -> Resumed:
        """Check the logits against those of the whole model; if they differ, run the whole model from now on.

        They differ, for example, in a model that joins outputs from before and after the layer along an axis other than
        the batch: recorded outputs of a single sample then do not fit.

        Returns
        -------
        Resumed
            Itself.
        """
        two = torch.cat((self.features, 0.5 * self.features))
        try:
            # A copy: the layers after this one may change their input in place.
            resumed: Tensor | None = self(two.clone())
        except Exception:  # batches that do not match can fail in any way
            resumed = None
        self._whole = True
        expected = self(two)
        self._whole = resumed is None or not same_logits(resumed, expected)
        return self

    @contextmanager
    def _patched(self, features: Tensor) -> Iterator[None]:
        outputs = {self.layer: _with_first(self._output, features)}
        if not self._whole:
            outputs |= self._skipped
        patched = []
        try:
            for name, output in outputs.items():
                module = self.model.get_submodule(name)
                # A copy: later modules may change it in place.
                returned = output if name == self.layer else _copied(output)
                module.forward = lambda *args, _returned=returned, **kwargs: _returned
                patched.append(module)
            yield
        finally:
            for module in patched:
                del module.forward


def _repeated(inputs: Inputs, batch: int) -> Inputs:
    if isinstance(inputs, Tensor):
        return inputs.expand(batch, *inputs.shape[1:])
    return {name: value.expand(batch, *value.shape[1:]) for name, value in inputs.items()}


def _copied(output: Any) -> Any:
    return tree_map(lambda part: part.clone() if isinstance(part, Tensor) else part, output)


def _before(calls: dict[str, Call], layer: str) -> dict[str, Any]:
    """Outputs of the outermost modules that were called once and ended before the layer started."""
    start = calls[layer].start
    names = {name for name, call in calls.items() if call.count == 1 and 0 <= call.end < start}
    inner = {name for name in names if any(name.startswith(f"{outer}.") for outer in names)}
    return {name: calls[name].output for name in names - inner}


def agrees(model: nn.Module, inputs: Inputs, resumed: Callable[[Tensor], Tensor], features: Tensor) -> bool:
    """Whether running the model from the features on gives the logits of the whole model."""
    return same_logits(resumed(features), logits(model, inputs))
