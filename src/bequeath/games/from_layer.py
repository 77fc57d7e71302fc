"""Running a model from a named layer on: what lies before the layer is computed once, or not at all.

The layer, and each module that ran before it, is made to return what it is told instead of computing. All else in the
model runs as it is, so branches, functions between modules and skip connections around the layer need no special care:
what they take from before the layer comes from one recorded pass, broadcast over the batch.
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
    """Ends a forward pass at the layer that was wanted; no error, so that nobody on the way takes it for one."""


@dataclass
class Call:
    """One module's part in a forward pass: order of its first start and last end, number of calls, last output."""

    start: int
    end: int = -1
    count: int = 0
    output: Any = None


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that a layer gives: its output, or the first part of it."""
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
        If there is none; near names are told.
    """
    try:
        found = model.get_submodule(layer) if layer else None
    except AttributeError:
        found = None
    if found is None:
        from difflib import get_close_matches

        names = [name for name, _ in model.named_modules() if name]
        near = get_close_matches(layer, names, 4, 0.4) or names[:8]
        raise BequeathError(
            f"layer {layer!r}: no such module in {type(model).__name__}; there are {', '.join(near)}, ..."
        )
    return found


@contextmanager
def _hooks(handles: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def record(model: nn.Module, inputs: Inputs, keep: Callable[[str, Any], Any]) -> dict[str, Call]:
    """Each module's part in one forward pass; `keep(name, output)` says what of its output is kept."""
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
    """What a layer gives for a batch; the rest of the model is not run."""
    found: list[Any] = []

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        found.append(output)
        raise _Reached

    with _hooks([find_layer(model, layer).register_forward_hook(hook)]):
        try:
            call(model, inputs)
        except _Reached:
            return found[0]
    raise BequeathError(f"layer {layer!r} of {type(model).__name__}: not called in a forward pass")


class Resumed:
    """The part of a model behind a layer, as a function of the layer's output.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    layer : str
        Path of a module that a forward pass calls once.
    inputs : Tensor or mapping of str to Tensor
        A batch of one: what is taken from before the layer, where something is, comes from it.

    Attributes
    ----------
    features : Tensor
        The layer's output for `inputs`: (1, ...).

    Raises
    ------
    BequeathError
        If the layer is not there, is not called exactly once, or gives no tensor.
    """

    def __init__(self, model: nn.Module, layer: str, inputs: Inputs) -> None:
        find_layer(model, layer)
        calls = record(model, inputs, lambda name, output: _own(output))
        if layer not in calls or calls[layer].count != 1:
            count = calls[layer].count if layer in calls else 0
            raise BequeathError(
                f"layer {layer!r} of {type(model).__name__}: called {count} times in a forward pass; give one that "
                "is called once"
            )
        features = first_tensor(calls[layer].output)
        if features is None or features.ndim < 2 or len(features) != 1:
            raise BequeathError(
                f"layer {layer!r} of {type(model).__name__}: gives no tensor with a batch axis; give another layer"
            )
        self.model, self.layer, self.inputs, self.features = model, layer, inputs, features
        self._output = calls[layer].output
        self._skipped = _before(calls, layer)
        self._whole = False

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (batch, classes) for the layer's output (batch, ...), which may be overwritten."""
        inputs = _repeated(self.inputs, len(features)) if self._whole else self.inputs
        with self._patched(features):
            return read_logits(self.model, call(self.model, inputs), len(features))

    def checked(self) -> Resumed:
        """The same; where that gives other logits than running all of the model, from then on all of it is run.

        A model that joins what comes from before the layer to what comes from behind along other axes than the batch,
        for one, cannot do with a single sample before it.
        """
        two = torch.cat((self.features, 0.5 * self.features))
        try:
            # Copies: the layers behind may work in place on what they are given.
            found: Tensor | None = self(two.clone())
        except Exception:  # what a model makes of batches that do not match is its own
            found = None
        self._whole = True
        expected = self(two)
        self._whole = found is None or not same_logits(found, expected)
        return self

    @contextmanager
    def _patched(self, features: Tensor) -> Iterator[None]:
        told = {self.layer: _with_first(self._output, features)}
        if not self._whole:
            told |= self._skipped
        patched = []
        try:
            for name, output in told.items():
                module = self.model.get_submodule(name)
                # A clone: what follows may work in place on it.
                given = output if name == self.layer else _own(output)
                module.forward = lambda *args, _given=given, **kwargs: _given
                patched.append(module)
            yield
        finally:
            for module in patched:
                del module.forward


def _repeated(inputs: Inputs, batch: int) -> Inputs:
    if isinstance(inputs, Tensor):
        return inputs.expand(batch, *inputs.shape[1:])
    return {name: value.expand(batch, *value.shape[1:]) for name, value in inputs.items()}


def _own(output: Any) -> Any:
    return tree_map(lambda part: part.clone() if isinstance(part, Tensor) else part, output)


def _before(calls: dict[str, Call], layer: str) -> dict[str, Any]:
    """Outputs of the largest modules that were called once, and ended, before the layer started."""
    start = calls[layer].start
    names = {name for name, call in calls.items() if call.count == 1 and 0 <= call.end < start}
    inner = {name for name in names if any(name.startswith(f"{outer}.") for outer in names)}
    return {name: calls[name].output for name in names - inner}


def agrees(model: nn.Module, inputs: Inputs, resumed: Callable[[Tensor], Tensor], features: Tensor) -> bool:
    """Whether resuming from the features gives the logits of the whole model."""
    return same_logits(resumed(features), logits(model, inputs))
