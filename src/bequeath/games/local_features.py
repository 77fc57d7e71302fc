"""Features of one image at a layer for any mask, assembled from the features of a few images (see `reuse`)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from bequeath.games.from_layer import Resumed, first_tensor, output_at
from bequeath.games.inputs import Inputs
from bequeath.games.players.masked import MaskedInput, MaskedTensor

# Images in one forward pass before the layer; small, so that the saved time does not cost memory.
BATCH = 8


@dataclass(frozen=True, eq=False)
class Cut:
    """A layer up to which features are assembled from local patterns.

    Attributes
    ----------
    layer : str
        Path of the module.
    channels : int
        Channel axis of its output: 1 or the last.
    reach : Tensor
        bool, (players, positions): which positions depend on which player.
    colours : tuple of int
        Colour of each player; two players that reach one position have different colours.
    share : float
        Share of the work of a forward pass up to and including the layer.
    picture_bytes : int
        Bytes of the features of one image.
    """

    layer: str
    channels: int
    reach: Tensor
    colours: tuple[int, ...]
    share: float
    picture_bytes: int

    @property
    def patterns(self) -> int:
        """Number of images that contain all local patterns."""
        return int(2 ** (max(self.colours) + 1))

    @cached_property
    def alone(self) -> list[int]:
        """Players that have a colour of their own.

        Masks that agree on these players only need the images that agree on them, so only these images are kept at a
        time.
        """
        return [i for i, colour in enumerate(self.colours) if self.colours.count(colour) == 1]

    @property
    def kept_bytes(self) -> int:
        """Bytes of the features that are kept at one time."""
        return self.picture_bytes * self.patterns >> len(self.alone)


@dataclass(eq=False)
class _Kept:
    """Features of the images that agree on the players `Cut.alone`, as rows (images * positions, channels)."""

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
        The network after the cut.
    """

    masked: MaskedTensor
    cut: Cut
    resumed: Resumed
    _kept: _Kept = field(default_factory=_Kept)

    def inputs(self, masks: Tensor) -> Tensor:
        """Output of the layer for each mask: (batch, *shape)."""
        phases = self.order(masks)
        # In the order in which masks are evaluated: the images of the first phase are still kept.
        present = sorted(set(phases.tolist()), reverse=True)
        if len(present) == 1:
            return self._shaped(self._gathered(masks, present[0]))
        parts = [(phases == phase).nonzero()[:, 0] for phase in present]
        features = torch.cat([self._gathered(masks[part], p) for part, p in zip(parts, present, strict=True)])
        return self._shaped(features[torch.cat(parts).argsort()])

    def order(self, masks: Tensor) -> Tensor:
        """The phase of each mask: the bits of the players that have a colour of their own (`Cut.alone`)."""
        if not self.cut.alone:
            return torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
        weights = 2 ** torch.arange(len(self.cut.alone), device=masks.device)
        return (masks[:, self.cut.alone] * weights).sum(1)

    def network(self, model: nn.Module) -> Callable[[Inputs], Tensor]:
        """The part of the model after the cut."""
        return self.resumed  # type: ignore[return-value]

    def batch_key(self) -> Hashable:
        """The layer and the form of its output: the network after the cut holds nothing of the sample."""
        return "local", self.cut.layer, self._shape, self.masked.x.dtype, self.masked.x.device

    @property
    def _shape(self) -> torch.Size:
        return self.resumed.features.shape[1:]

    @cached_property
    def _free(self) -> dict[int, int]:
        """Colours that several players have, numbered from 0."""
        shared = sorted({colour for colour in self.cut.colours if self.cut.colours.count(colour) > 1})
        return {colour: i for i, colour in enumerate(shared)}

    @cached_property
    def _sets(self) -> tuple[Tensor, Tensor]:
        """The different sets of players that reach a position, and the set of each position.

        A set is a column of (players, sets) with 2^colour for its players, so that mask @ column is a pattern's number.
        """
        sets, set_of_position = torch.unique(self.cut.reach, dim=1, return_inverse=True)
        powers = [2.0 ** self._free[c] if c in self._free else 0.0 for c in self.cut.colours]
        return sets.float() * torch.tensor(powers, device=sets.device)[:, None], set_of_position

    def _gathered(self, masks: Tensor, phase: int) -> Tensor:
        """Features of masks of one phase: (batch, positions, channels)."""
        sets, set_of_position = self._sets
        # Half precision cannot represent the pattern numbers of more than eight colours.
        with torch.autocast(masks.device.type, enabled=False):
            pattern = (masks.to(sets) @ sets).long()[:, set_of_position]
        positions = len(set_of_position)
        index = pattern * positions + torch.arange(positions, device=pattern.device)
        return self._rows(phase).index_select(0, index.flatten()).view(*index.shape, -1)

    def _rows(self, phase: int) -> Tensor:
        if self._kept.phase != phase:
            # Free the old features before the new ones are computed.
            self._kept.rows = torch.empty(0)
            self._kept.rows = self._computed(phase)
            self._kept.phase = phase
        return self._kept.rows

    def _computed(self, phase: int) -> Tensor:
        """Features of all images of one phase, as rows (images * positions, channels)."""
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
        """Bring (batch, positions, channels) to the shape of the layer's output."""
        batch, shape = len(features), self._shape
        if self.cut.channels == 1 and len(shape) == 3:
            # A view in channels-last layout, as the rows are.
            return features.view(batch, *shape[1:], -1).permute(0, 3, 1, 2)
        if self.cut.channels == 1:
            return features.transpose(1, 2).reshape(batch, *shape)
        return features.view(batch, *shape)
