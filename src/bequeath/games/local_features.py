"""One image's features at a layer, for any mask, put together from those of a few pictures (planned in `reuse`)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from bequeath.games.from_layer import Resumed, first_tensor, output_at
from bequeath.games.inputs import Inputs
from bequeath.games.players.masked import MaskedInput, MaskedTensor

# Pictures at a time before the layer: what is saved must not be paid for in memory.
BATCH = 8


@dataclass(frozen=True, eq=False)
class Cut:
    """A layer up to which features are put together from local patterns.

    Attributes
    ----------
    layer : str
        Path of the module.
    channels : int
        Axis of its output that holds channels: 1 or the last.
    reach : Tensor
        bool, (players, positions): which positions depend on which player.
    colours : tuple of int
        Colour of each player; no two that reach one position have the same.
    share : float
        Share of a forward pass's work that lies before and in the layer.
    picture_bytes : int
        Bytes of one picture's features.
    """

    layer: str
    channels: int
    reach: Tensor
    colours: tuple[int, ...]
    share: float
    picture_bytes: int

    @property
    def patterns(self) -> int:
        """Number of pictures that hold all local patterns."""
        return int(2 ** (max(self.colours) + 1))

    @cached_property
    def alone(self) -> list[int]:
        """Players that share their colour with no other.

        Masks that agree on these need the pictures that agree on them only: no more than those are kept at a time.
        """
        return [i for i, colour in enumerate(self.colours) if self.colours.count(colour) == 1]

    @property
    def kept_bytes(self) -> int:
        """Bytes of the features that are kept at a time."""
        return self.picture_bytes * self.patterns >> len(self.alone)


@dataclass(eq=False)
class _Kept:
    """The features of the pictures that agree on some players, as rows (pictures * positions, channels)."""

    phase: int = -1
    rows: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True, eq=False)
class LocalFeatures(MaskedInput):
    """The features at a cut, for any mask of one image.

    Attributes
    ----------
    masked : MaskedTensor
        The image and its players.
    cut : Cut
    resumed : Resumed
        The network behind the cut.
    """

    masked: MaskedTensor
    cut: Cut
    resumed: Resumed
    _kept: _Kept = field(default_factory=_Kept)

    def inputs(self, masks: Tensor) -> Tensor:
        """The layer's output for each mask: (batch, *shape)."""
        phases = self.order(masks)
        # In the order in which masks come: the pictures of the first are still there.
        there = sorted(set(phases.tolist()), reverse=True)
        if len(there) == 1:
            return self._shaped(self._gathered(masks, there[0]))
        parts = [(phases == phase).nonzero()[:, 0] for phase in there]
        features = torch.cat([self._gathered(masks[part], p) for part, p in zip(parts, there, strict=True)])
        return self._shaped(features[torch.cat(parts).argsort()])

    def order(self, masks: Tensor) -> Tensor:
        """By the players that share their colour with no other: see `Cut.alone`."""
        if not self.cut.alone:
            return torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
        weights = 2 ** torch.arange(len(self.cut.alone), device=masks.device)
        return (masks[:, self.cut.alone] * weights).sum(1)

    def network(self, model: nn.Module) -> Callable[[Inputs], Tensor]:
        """The part of the model behind the cut."""
        return self.resumed  # type: ignore[return-value]

    def kin(self) -> Hashable:
        """The network behind is fed with nothing of the sample's own, so samples share batches."""
        return "local", self.cut.layer, self._shape, self.masked.x.dtype, self.masked.x.device

    @property
    def _shape(self) -> torch.Size:
        return self.resumed.features.shape[1:]

    @cached_property
    def _free(self) -> dict[int, int]:
        """Colours that players share, counted anew."""
        shared = sorted({colour for colour in self.cut.colours if self.cut.colours.count(colour) > 1})
        return {colour: i for i, colour in enumerate(shared)}

    @cached_property
    def _sets(self) -> tuple[Tensor, Tensor]:
        """Of sets of players that reach one position: 2^colour of those in it (players, sets); each position's set."""
        sets, place = torch.unique(self.cut.reach, dim=1, return_inverse=True)
        powers = [2.0 ** self._free[c] if c in self._free else 0.0 for c in self.cut.colours]
        return sets.float() * torch.tensor(powers, device=sets.device)[:, None], place

    def _gathered(self, masks: Tensor, phase: int) -> Tensor:
        """Features of masks of one phase: (batch, positions, channels)."""
        sets, place = self._sets
        # Half precision could not tell the patterns of more than eight colours apart.
        with torch.autocast(masks.device.type, enabled=False):
            pattern = (masks.to(sets) @ sets).long()[:, place]
        index = pattern * len(place) + torch.arange(len(place), device=pattern.device)
        return self._rows(phase).index_select(0, index.flatten()).view(*index.shape, -1)

    def _rows(self, phase: int) -> Tensor:
        if self._kept.phase != phase:
            # The old ones are let go before new ones are made.
            self._kept.rows = torch.empty(0)
            self._kept.rows = self._made(phase)
            self._kept.phase = phase
        return self._kept.rows

    def _made(self, phase: int) -> Tensor:
        device, axis = self.masked.x.device, self.cut.channels
        free = [self._free.get(colour, 0) for colour in self.cut.colours]
        patterns = torch.arange(2 ** len(self._free), device=device)[:, None]
        shown = (patterns >> torch.tensor(free, device=device)) & 1 == 1
        for bit, player in enumerate(self.cut.alone):
            shown[:, player] = bool(phase >> bit & 1)
        rows: Tensor | None = None
        for first in range(0, len(shown), BATCH):
            block = self.masked.inputs(shown[first : first + BATCH])
            output = first_tensor(output_at(self.resumed.model, self.cut.layer, block))
            assert output is not None
            part = output.movedim(axis, -1).reshape(len(block), -1, self._shape[axis - 1])
            if rows is None:
                rows = part.new_empty(len(shown), *part.shape[1:])
            rows[first : first + len(block)] = part
        assert rows is not None
        return rows.flatten(0, 1)

    def _shaped(self, features: Tensor) -> Tensor:
        """(batch, positions, channels) as the layer gives it."""
        batch, shape = len(features), self._shape
        if self.cut.channels == 1 and len(shape) == 3:
            # A view, laid out channels-last, as the rows are.
            return features.view(batch, *shape[1:], -1).permute(0, 3, 1, 2)
        if self.cut.channels == 1:
            return features.transpose(1, 2).reshape(batch, *shape)
        return features.view(batch, *shape)
