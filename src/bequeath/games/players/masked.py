"""One sample, ready to be shown in part: what every kind of players comes down to.

Each part of the input (pixel, token, column, position) has an owner: a player, or nobody. Showing a coalition keeps the
parts of its players and puts the baseline in the place of all others.
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

# Owners of parts that belong to no player: read as the last two columns behind a mask's players.
SHOWN = -2
HIDDEN = -1

Rest = Literal["shown", "hidden"]
Self = TypeVar("Self", bound="MaskedInput")


@dataclass(frozen=True, eq=False)
class MaskedInput:
    """One sample and its players.

    Attributes
    ----------
    owner : Tensor
        int64: the player of each part of the input, or SHOWN or HIDDEN.
    names : tuple of str
        Names of the players.
    """

    owner: Tensor
    names: tuple[str, ...]

    __repr__ = one_line

    def kept(self, masks: Tensor) -> Tensor:
        """Which parts are kept: bool, (batch, *owner.shape), for masks (batch, players)."""
        masks = masks.to(self.owner.device)
        nobody = torch.tensor([True, False], device=masks.device).expand(len(masks), 2)
        return torch.cat((masks, nobody), dim=1)[:, self.owner]

    def inputs(self, masks: Tensor) -> Inputs:
        """Model inputs for masks of shape (batch, players), bool: True keeps the player."""
        raise NotImplementedError

    def network(self, model: nn.Module) -> Callable[[Inputs], Tensor]:
        """What the inputs are given to: inputs -> logits (batch, classes)."""
        return lambda inputs: logits(model, inputs)

    def kin(self) -> Hashable:
        """Inputs of samples with equal kin may go through the model in one batch."""
        return id(self)

    def joined(self, parts: Sequence[Inputs]) -> Inputs:
        """Inputs of this sample and others of its kin as one batch."""
        if isinstance(parts[0], Tensor):
            return torch.cat([part for part in parts if isinstance(part, Tensor)])
        named = [part for part in parts if not isinstance(part, Tensor)]
        return {name: torch.cat([part[name] for part in named]) for name in named[0]}

    def order(self, masks: Tensor) -> Tensor | None:
        """Numbers (batch,) by which masks are sorted before evaluation, the greatest first; None: as they are."""
        return None

    def to(self: Self, device: torch.device) -> Self:
        """The same on a device."""
        return replace(self, **{f.name: _moved(getattr(self, f.name), device) for f in fields(self)})

    def only(self: Self, chosen: Sequence[int], rest: Rest) -> Self:
        """The same sample with some of its players; the others' parts are always shown, or always hidden."""
        n = len(self.names)
        if not chosen or len(set(chosen)) != len(chosen) or not all(0 <= i < n for i in chosen):
            raise BequeathError(
                f"players: {list(chosen)} chosen of {n}; give different numbers from 0 to {n - 1}, at least one"
            )
        place = torch.full((n + 2,), SHOWN if rest == "shown" else HIDDEN, device=self.owner.device)
        place[list(chosen)] = torch.arange(len(chosen), device=self.owner.device)
        place[[SHOWN, HIDDEN]] = torch.tensor([SHOWN, HIDDEN], device=self.owner.device)
        return replace(self, owner=place[self.owner], names=tuple(self.names[i] for i in chosen))


@dataclass(frozen=True, eq=False)
class MaskedTensor(MaskedInput):
    """A sample that is one tensor: an image (channels, height, width) or a table's row (columns,).

    Attributes
    ----------
    x, hidden : Tensor
        The sample and its baseline, of one shape; `owner` broadcasts to it.
    """

    x: Tensor
    hidden: Tensor

    __repr__ = one_line

    def inputs(self, masks: Tensor) -> Tensor:
        """(batch, players) -> (batch, *x.shape)."""
        return torch.where(self.kept(masks), self.x, self.hidden)

    def kin(self) -> Hashable:
        """Any sample of this shape and dtype."""
        return "tensor", self.x.shape, self.x.dtype, self.x.device


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, (Tensor, nn.Module)):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _moved(item, device) for name, item in value.items()}
    if isinstance(value, Fill):
        return replace(value, vector=_moved(value.vector, device))
    return value
