"""A classifier's backbone in blocks, in the order in which the model defines them. `freeze` takes a block's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.models.heads import find_heads

MOST = 16
"""The largest number of blocks, unless another is given."""
# A part that holds more than this share of the weights is nearly the whole backbone, so it is divided.
_MAIN_SHARE = 0.9
# With fewer parts, one learns little about where in the network something lies.
_FEWEST_PARTS = 4
# A part is worth dividing for that reason if it holds at least this many parts.
_FEWEST_INNER_PARTS = 3


@dataclass(frozen=True)
class Block:
    """A run of neighbouring modules.

    Attributes
    ----------
    name : str
        Path of its last module. Freezing up to this module freezes this block and all blocks before it.
    modules : tuple of str
        Paths of its modules, in the order of the model.
    parameters, tensors : tuple of str
        Names in the state dict: of its parameters; of its parameters and buffers. Tensors that belong to no module
        of a block, such as positions and class tokens, belong to the block after them.
    size : int
        How many numbers its parameters hold.
    """

    name: str
    modules: tuple[str, ...]
    parameters: tuple[str, ...]
    tensors: tuple[str, ...]
    size: int

    @property
    def title(self) -> str:
        """The block's name for readers: ``conv1 to bn1``."""
        return self.name if len(self.modules) == 1 else f"{self.modules[0]} to {self.name}"


def blocks(model: nn.Module, most: int = MOST) -> tuple[Block, ...]:
    """Divide a classifier's backbone (all but its head) into blocks.

    Each layer of a list of layers is a block. A module is divided further if it holds the head or nearly all weights.
    Modules without matrices, such as norms, join the module before them. If there are too many blocks, the smallest
    neighbours are joined.

    Parameters
    ----------
    model : nn.Module
    most : int
        The largest number of blocks.

    Returns
    -------
    tuple of Block
        In the order in which the model defines them.

    Raises
    ------
    BequeathError
        If the backbone gives fewer than two blocks.

    Examples
    --------
    >>> [block.name for block in blocks(resnet18(10))]
    ['bn1', 'layer1', 'layer2', 'layer3', 'layer4']
    """
    tree = _Tree(model)
    groups = [[part] for part in tree.parts]
    groups = _joined_norms(groups, tree)
    while len(groups) > max(most, 1):
        sizes = [tree.size(left) + tree.size(right) for left, right in pairwise(groups)]
        smallest = sizes.index(min(sizes))
        groups[smallest : smallest + 2] = [groups[smallest] + groups[smallest + 1]]
    if len(groups) < 2:
        content = f"only {groups[0][0]}" if groups else "nothing with weights"
        raise BequeathError(
            f"{type(model).__name__}: below its head it has {content}, but at least two blocks are needed; "
            "give a whole network"
        )
    return tuple(tree.block(group) for group in groups)


class _Tree:
    """A model's modules, by path, without its heads."""

    def __init__(self, model: nn.Module) -> None:
        self.heads = find_heads(model)
        # The auxiliary classifiers of GoogLeNet and Inception are for training only.
        auxiliary = [name for name, _ in model.named_children() if name.lower().startswith("aux")]
        self.modules = {
            name: module
            for name, module in model.named_modules()
            if not _within(name, (*self.heads, *auxiliary))
        }
        self._own = {name: _own_tensors(module) for name, module in self.modules.items()}

    @cached_property
    def parts(self) -> list[str]:
        parts, whole = self._children(""), set[str]()  # `whole`: layers of a list, which stay undivided
        while True:
            division = self._division(parts, whole)
            if division is None:
                return parts
            position, inner, are_layers = division
            whole |= set(inner) if are_layers else set()
            parts[position : position + 1] = inner

    def _division(self, parts: Sequence[str], whole: set[str]) -> tuple[int, list[str], bool] | None:
        """The position of the part to divide next, the parts in it, and whether these are a list of layers."""
        total = self.size(parts)
        for position, part in enumerate(parts):
            if any(_within(head, (part,)) for head in self.heads):
                return position, self._children(part), False
            layers = None if part in whole else self._layers(part)
            if layers is not None:
                return position, layers, True
            inner = self._inner_parts(part)
            if len(inner) > 1 and (len(parts) == 1 or self.size((part,)) > _MAIN_SHARE * total):
                return position, inner, False
        if sum(map(self.has_matrices, parts)) >= _FEWEST_PARTS:
            return None
        divisible = [
            position
            for position, part in enumerate(parts)
            if part not in whole and len(self._inner_parts(part)) >= _FEWEST_INNER_PARTS
        ]
        if not divisible:
            return None
        largest = max(divisible, key=lambda position: self.size((parts[position],)))
        return largest, self._inner_parts(parts[largest]), False

    def _children(self, path: str) -> list[str]:
        """Child modules that have tensors, of their own or further below."""
        prefix = f"{path}." if path else ""
        children = [f"{prefix}{name}" for name, _ in self.modules[path].named_children()]
        children = [name for name in children if name in self.modules]
        return [name for name in children if any(self._own[module] for module in self._below(name))]

    def _inner_parts(self, path: str) -> list[str]:
        """Child modules, looking through modules that only wrap another; embeddings of texts are not divided."""
        inner = self._children(path)
        types = {type(self.modules[name]) for name in inner}
        if nn.Embedding in types and nn.ModuleList not in types:
            return []
        return self._inner_parts(inner[0]) if len(inner) == 1 else inner

    def _layers(self, path: str) -> list[str] | None:
        """The layers of a list, if the part holds that list and nothing else."""
        inner = self._children(path)
        if isinstance(self.modules[path], nn.ModuleList) and len(inner) > 1:
            return inner
        return self._layers(inner[0]) if len(inner) == 1 else None

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
        """A group of neighbouring parts, with the modules that are defined right before them and are in no part."""
        names: list[str] = []
        waiting: list[str] = []
        all_parts = set(self.parts)
        for name in self.modules:
            part = next((candidate for candidate in all_parts if _within(name, (candidate,))), None)
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
    """A module's own parameters and buffers, without those of its children and without buffers that are not saved."""
    own: dict[str, Tensor] = dict(module.named_parameters(recurse=False))
    not_saved = module._non_persistent_buffers_set
    return own | {name: value for name, value in module.named_buffers(recurse=False) if name not in not_saved}


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
