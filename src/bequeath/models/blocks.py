"""A classifier's backbone in blocks: parts in the order in which the model defines them, as `freeze` names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, call, in_eval_mode
from bequeath.models.heads import find_heads

MOST = 16
"""Blocks that a backbone is parted into at most, where no other number is given."""
# A part with more of the weights than this is nearly the whole backbone: it is opened.
_MAIN = 0.9
# Fewer parts say little about where in the network something is.
_FEW, _SEVERAL = 4, 3


@dataclass(frozen=True)
class Block:
    """A run of neighbouring modules.

    Attributes
    ----------
    name : str
        Path of its last module: to freeze up to this one freezes this block and all before it.
    modules : tuple of str
        Paths of its modules, in the order of the model.
    parameters, tensors : tuple of str
        Names in the state: of its parameters; of its parameters and buffers. Those that belong to no part, such as
        positions and class tokens, are in the block that comes after them.
    size : int
        Numbers in its parameters.
    """

    name: str
    modules: tuple[str, ...]
    parameters: tuple[str, ...]
    tensors: tuple[str, ...]
    size: int

    @property
    def title(self) -> str:
        """The block for people: ``conv1 to bn1``."""
        return self.name if len(self.modules) == 1 else f"{self.modules[0]} to {self.name}"


def blocks(model: nn.Module, most: int = MOST) -> tuple[Block, ...]:
    """Part a classifier's backbone, without its head, into blocks.

    Lists of layers are taken apart, and so is a part that holds the head, or nearly all weights. Parts without
    matrices, such as norms, go with the part before them. Where there are too many, the smallest neighbours are joined.

    Parameters
    ----------
    model : nn.Module
    most : int
        Blocks at most.

    Returns
    -------
    tuple of Block
        In the order in which the model defines them.

    Raises
    ------
    BequeathError
        If there are fewer than two.

    Examples
    --------
    >>> [block.name for block in blocks(resnet18(10))]
    ['bn1', 'layer1', 'layer2', 'layer3', 'layer4']
    """
    tree = _Tree(model)
    groups = [[part] for part in tree.parts]
    groups = _joined_norms(groups, tree)
    while len(groups) > max(most, 1):
        sums = [tree.size(one) + tree.size(two) for one, two in pairwise(groups)]
        place = sums.index(min(sums))
        groups[place : place + 2] = [groups[place] + groups[place + 1]]
    if len(groups) < 2:
        what = f"{groups[0][0]} alone" if groups else "nothing with weights"
        raise BequeathError(
            f"{type(model).__name__}: below its head it has {what}, and two blocks are needed to tell layers apart; "
            "give a whole network"
        )
    return tuple(tree.block(group) for group in groups)


class _Tree:
    """A model's modules, by path, without its heads."""

    def __init__(self, model: nn.Module) -> None:
        self.heads = find_heads(model)
        # Classifiers on the way (GoogLeNet, Inception) are for training only.
        beside = [name for name, _ in model.named_children() if name.lower().startswith("aux")]
        self.modules = {
            name: module
            for name, module in model.named_modules()
            if not _within(name, (*self.heads, *beside))
        }
        self._own = {name: _own_tensors(module) for name, module in self.modules.items()}

    @cached_property
    def parts(self) -> list[str]:
        parts, closed = self._children(""), set[str]()
        while True:
            found = self._opened(parts, closed)
            if found is None:
                return parts
            place, inside, series = found
            closed |= set(inside) if series else set()
            parts[place : place + 1] = inside

    def _opened(self, parts: Sequence[str], closed: set[str]) -> tuple[int, list[str], bool] | None:
        """A part to be taken apart, by place; what is inside; whether that is a list of layers."""
        total = self.size(parts)
        for place, part in enumerate(parts):
            if any(_within(head, (part,)) for head in self.heads):
                return place, self._children(part), False
            series = None if part in closed else self._series(part)
            if series is not None:
                return place, series, True
            inside = self._inside(part)
            if len(inside) > 1 and (len(parts) == 1 or self.size((part,)) > _MAIN * total):
                return place, inside, False
        if sum(map(self.has_matrices, parts)) >= _FEW:
            return None
        wide = [place for place, part in enumerate(parts) if len(self._inside(part)) >= _SEVERAL]
        wide = [place for place in wide if parts[place] not in closed]
        if not wide:
            return None
        largest = max(wide, key=lambda place: self.size((parts[place],)))
        return largest, self._inside(parts[largest]), False

    def _children(self, path: str) -> list[str]:
        """Modules right below a path that hold something of their own or further below."""
        prefix = f"{path}." if path else ""
        below = [f"{prefix}{name}" for name, _ in self.modules[path].named_children()]
        below = [name for name in below if name in self.modules]
        return [name for name in below if any(self._own[one] for one in self._below(name))]

    def _inside(self, path: str) -> list[str]:
        """The same, past modules that only wrap another one; a text's embeddings are one thing."""
        inside = self._children(path)
        kinds = {type(self.modules[one]) for one in inside}
        if nn.Embedding in kinds and nn.ModuleList not in kinds:
            return []
        return self._inside(inside[0]) if len(inside) == 1 else inside

    def _series(self, path: str) -> list[str] | None:
        """The layers of a list that is all that a part holds."""
        inside = self._children(path)
        if isinstance(self.modules[path], nn.ModuleList) and len(inside) > 1:
            return inside
        return self._series(inside[0]) if len(inside) == 1 else None

    def _below(self, path: str) -> list[str]:
        return [name for name in self.modules if _within(name, (path,))]

    def size(self, parts: Sequence[str]) -> int:
        return sum(
            value.numel()
            for part in parts
            for name in self._below(part)
            for value in self._own[name].values()
            if isinstance(value, nn.Parameter)
        )

    def has_matrices(self, part: str) -> bool:
        own = (value for name in self._below(part) for value in self._own[name].values())
        return any(isinstance(value, nn.Parameter) and value.ndim > 1 for value in own)

    def block(self, group: Sequence[str]) -> Block:
        """A group of neighbouring parts, with what around them is defined right before."""
        names: list[str] = []
        waiting: list[str] = []
        every = set(self.parts)
        for name in self.modules:
            part = next((one for one in every if _within(name, (one,))), None)
            if part is None:
                waiting.append(name)
                continue
            if part in group:
                names += [*waiting, name]
            waiting = []
        own = {
            f"{name}.{key}" if name else key: value
            for name in names
            for key, value in self._own[name].items()
        }
        parameters = tuple(key for key, value in own.items() if isinstance(value, nn.Parameter))
        return Block(
            group[-1], tuple(group), parameters, tuple(own), sum(own[name].numel() for name in parameters)
        )


def _own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and kept buffers of a module itself."""
    own: dict[str, Tensor] = dict(module.named_parameters(recurse=False))
    kept = module._non_persistent_buffers_set
    return own | {name: value for name, value in module.named_buffers(recurse=False) if name not in kept}


def _joined_norms(groups: list[list[str]], tree: _Tree) -> list[list[str]]:
    joined: list[list[str]] = []
    for group in groups:
        if joined and not tree.has_matrices(group[0]):
            joined[-1] += group
        else:
            joined.append(group)
    if len(joined) > 1 and not tree.has_matrices(joined[0][-1]) and len(joined[0]) == 1:
        joined[:2] = [joined[0] + joined[1]]
    return joined


def _within(name: str, paths: Sequence[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for path in paths)


def call_order(model: nn.Module, parts: Sequence[Block], inputs: Inputs) -> list[str]:
    """Names of the blocks in the order in which the model first calls them, for one batch."""
    order: list[str] = []

    def seen(name: str) -> Any:
        return lambda *_: None if name in order else order.append(name)

    handles = [
        model.get_submodule(path).register_forward_pre_hook(seen(block.name))
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
    """What each block gives in the model's last forward pass, by name, for the time of the block of code.

    That is the output of the block's last module, or of its last call; a block that was not called is not there.
    """
    given: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            found = _tensor(output)
            if found is not None:
                given[name] = found.detach()

        return hook

    handles = [
        model.get_submodule(block.modules[-1]).register_forward_hook(keep(block.name)) for block in parts
    ]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()


def _tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    values = (
        output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    )
    return next((one for one in values if isinstance(one, Tensor)), None)


def pooled(output: Tensor, attended: Tensor | None = None) -> Tensor:
    """A block's output in the mean over positions.

    Parameters
    ----------
    output : Tensor
        (batch, features), (batch, channels, height, width) or with the channels last, (batch, positions, features).
    attended : Tensor, optional
        (batch, positions), 1 where a text has a token: others are left out.

    Returns
    -------
    Tensor
        float32 on the CPU, (batch, features).
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
