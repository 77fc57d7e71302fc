"""One sample with its players and baseline, from which masked inputs are made.

Each part of the input (pixel, token, column, position) has an owner: a player, or no player. A masked input keeps the
parts of the players in the coalition and replaces all others by the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Fill
from bequeath.games.inputs import Inputs, logits
from bequeath.printable import one_line

# Owners of parts that belong to no player. They index the last two columns after those of the players in a mask.
SHOWN = -2
HIDDEN = -1

Rest = Literal["shown", "hidden"]
Self = TypeVar("Self", bound="MaskedInput")


@dataclass(frozen=True, eq=False)
class MaskedInput:
    """Base class of one sample with its players. `inputs` makes the model inputs for any masks.

    Attributes
    ----------
    owner : Tensor
        int64: the player of each part of the input; -2 if the part is always shown, -1 if it is always hidden.
    names : tuple of str
        Names of the players.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> masked = bq.players.grid(1, 2).bind(torch.ones(1, 2, 2), bq.baselines.zero(), torch.nn.Flatten())
    >>> isinstance(masked, bq.players.MaskedInput), masked.names
    (True, ('r1c1', 'r1c2'))
    """

    owner: Tensor
    names: tuple[str, ...]

    __repr__ = one_line

    def kept(self, masks: Tensor) -> Tensor:
        """Which parts are shown: bool, (batch, *owner.shape), for masks (batch, players)."""
        masks = masks.to(self.owner.device)
        no_player = torch.tensor([True, False], device=masks.device).expand(len(masks), 2)
        return torch.cat((masks, no_player), dim=1)[:, self.owner]

    def inputs(self, masks: Tensor) -> Inputs:
        """Model inputs for masks, bool (batch, players); True shows the player."""
        raise NotImplementedError

    def network(self, model: nn.Module) -> Callable[[Inputs], Tensor]:
        """The function that the inputs are given to, from inputs to logits (batch, classes)."""
        return lambda inputs: logits(model, inputs)

    def batch_key(self) -> Hashable:
        """Inputs of samples with equal keys may share a batch."""
        return id(self)

    def joined(self, parts: Sequence[Inputs]) -> Inputs:
        """Join inputs of samples with equal `batch_key` to one batch."""
        if isinstance(parts[0], Tensor):
            return torch.cat([part for part in parts if isinstance(part, Tensor)])
        named = [part for part in parts if not isinstance(part, Tensor)]
        return {name: torch.cat([part[name] for part in named]) for name in named[0]}

    def order(self, masks: Tensor) -> Tensor | None:
        """Sort keys of the masks, (batch,): masks with the largest keys are evaluated first. None: not sorted."""
        return None

    def to(self: Self, device: torch.device) -> Self:
        """The same sample with its tensors on a device."""
        return replace(self, **{f.name: _moved(getattr(self, f.name), device) for f in fields(self)})

    def only(self: Self, chosen: Sequence[int], rest: Rest) -> Self:
        """The same sample with a selection of its players; the parts of all others are always shown or hidden."""
        n = len(self.names)
        if not chosen or len(set(chosen)) != len(chosen) or not all(0 <= i < n for i in chosen):
            raise BequeathError(
                f"players: {list(chosen)} chosen of {n}; give different numbers from 0 to {n - 1}, at least one"
            )
        new_owner = torch.full((n + 2,), SHOWN if rest == "shown" else HIDDEN, device=self.owner.device)
        new_owner[list(chosen)] = torch.arange(len(chosen), device=self.owner.device)
        new_owner[[SHOWN, HIDDEN]] = torch.tensor([SHOWN, HIDDEN], device=self.owner.device)
        return replace(self, owner=new_owner[self.owner], names=tuple(self.names[i] for i in chosen))


@dataclass(frozen=True, eq=False)
class MaskedTensor(MaskedInput):
    """A sample that is one tensor: an image (channels, height, width) or a row (columns,).

    Parameters
    ----------
    owner : Tensor
        int64, broadcasts to `x`: the player of each entry; -2 if it is always shown, -1 if it is always hidden.
    names : tuple of str
        Names of the players.
    x, hidden : Tensor
        The sample, and the baseline that replaces hidden entries; of one shape.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> row = torch.tensor([1.0, 2.0, 3.0])
    >>> masked = bq.players.MaskedTensor(torch.tensor([0, 0, 1]), ("first", "last"), row, torch.zeros(3))
    >>> masked.inputs(torch.tensor([[True, False], [False, True]])).tolist()
    [[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
    """

    x: Tensor
    hidden: Tensor

    __repr__ = one_line

    def inputs(self, masks: Tensor) -> Tensor:
        """Model inputs (batch, *x.shape) for masks, bool (batch, players)."""
        return torch.where(self.kept(masks), self.x, self.hidden)

    def batch_key(self) -> Hashable:
        """Shape, dtype and device: samples that agree in these may share a batch."""
        return "tensor", self.x.shape, self.x.dtype, self.x.device


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, (Tensor, nn.Module)):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _moved(item, device) for name, item in value.items()}
    if isinstance(value, Fill):
        return replace(value, vector=_moved(value.vector, device))
    return value
