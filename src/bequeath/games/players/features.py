"""Players inside the network: positions or channels of a named layer's feature map."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.from_layer import Resumed
from bequeath.games.inputs import Inputs, device_of
from bequeath.games.players.family import Box, Players
from bequeath.games.players.image import cell_boxes, cell_names, cells
from bequeath.games.players.masked import SHOWN, MaskedTensor
from bequeath.printable import one_line

Layout = Literal["auto", "channels_first", "channels_last"]

# Class, distillation and register tokens of the usual vision transformers.
_MOST_PREFIX_TOKENS = 8


@dataclass(frozen=True, eq=False)
class MaskedFeatures(MaskedTensor):
    """A layer's output on one sample (without its batch axis), and the network behind the layer."""

    resumed: Resumed

    __repr__ = one_line

    def network(self, model: nn.Module) -> Callable[[Inputs], Tensor]:
        """The part of the model behind the layer: what lies before it has run once, when the sample was bound."""
        assert model is self.resumed.model
        return self.resumed  # type: ignore[return-value]

    def kin(self) -> Hashable:
        """Skip connections around the layer carry this sample: no other may share its batches."""
        return id(self)

    def to(self, device: torch.device) -> MaskedFeatures:
        if device != self.x.device:
            raise BequeathError(
                f"device {device}: feature maps are made on the model's device ({self.x.device}); move the model "
                "there before making the game"
            )
        return self


def _bound(layer: str, x: Any, model: nn.Module) -> Resumed:
    device = device_of(model)
    inputs: Inputs
    if isinstance(x, Mapping):
        inputs = {name: value.to(device) for name, value in x.items()}
    elif isinstance(x, Tensor):
        inputs = x.to(device)[None]
    else:
        raise BequeathError(
            f"players at layer {layer!r}: a tensor, or a mapping of tensors (1, ...) that the model takes by name, "
            f"is needed, not {type(x).__name__}"
        )
    with torch.inference_mode():
        return Resumed(model, layer, inputs).checked()


def _channel_axis(features: Tensor, layout: Layout, layer: str) -> int:
    """Axis of the channels in a feature map with a batch axis."""
    if features.ndim == 3:  # tokens: (1, tokens, channels)
        return 2
    if features.ndim != 4:
        raise BequeathError(
            f"players at layer {layer!r}: its output {tuple(features.shape)} is no feature map (batch, channels, "
            "height, width) or (batch, tokens, channels); give an earlier layer"
        )
    if layout != "auto":
        return 1 if layout == "channels_first" else 3
    # Square maps tell by themselves, but for as many channels as rows.
    _, a, b, c = features.shape
    return 3 if a == b != c else 1


@dataclass(frozen=True)
class Positions(Players):
    """Cells of a rows x cols grid over the positions of a layer's feature map.

    Attributes
    ----------
    layer : str
        Path of the module whose output is masked, such as ``"layer2"`` or ``"blocks.5"``.
    rows, cols : int
        Size of the grid; player r * cols + c.
    layout : "auto", "channels_first" or "channels_last"
        Of four-axis feature maps. Outputs (batch, tokens, channels) are read as a square of tokens behind the class
        token and its like, which always stay; with rows = 1, as cols runs of tokens.

    Examples
    --------
    >>> bq.players.positions("layer3", 3, 3)  # a ResNet's third stage
    >>> bq.players.positions("blocks.5", 3, 3)  # a vision transformer's tokens behind its sixth block
    """

    layer: str
    rows: int
    cols: int
    layout: Layout = "auto"

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise BequeathError(f"players positions: {self.rows} x {self.cols}; both must be at least 1")

    @property
    def n_players(self) -> int:
        """Number of players."""
        return self.rows * self.cols

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Row and column of each cell, counted from 1: ``r1c1``, ..."""
        return cell_names(self.rows, self.cols)

    def boxes(self) -> list[Box]:
        """(x0, y0, x1, y1) of each cell as fractions of the picture."""
        return cell_boxes(self.rows, self.cols)

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedFeatures:
        """Positions of the layer's output on x."""
        resumed = _bound(self.layer, x, model)
        features = resumed.features
        channels = _channel_axis(features, self.layout, self.layer)
        if features.ndim == 4:
            height, width = (features.shape[axis] for axis in range(1, 4) if axis != channels)
            self._check(height, width)
            owner = cells(height, width, self.rows, self.cols).unsqueeze(channels - 1)
        else:
            owner = self._token_owner(features.shape[1])[:, None]
        hidden = baseline.for_features(features, channels, model, self.layer)
        return MaskedFeatures(owner.to(features.device), self.names(), features[0], hidden[0], resumed)

    def _check(self, height: int, width: int) -> None:
        if height < self.rows or width < self.cols:
            raise BequeathError(
                f"players positions: {self.rows} x {self.cols} cells on the {height} x {width} positions of layer "
                f"{self.layer!r}; take fewer cells or an earlier layer"
            )

    def _token_owner(self, tokens: int) -> Tensor:
        side = isqrt(tokens)
        prefix = tokens - side * side
        if self.rows == 1:
            self._check(1, tokens)
            return cells(1, tokens, 1, self.cols)[0]
        if prefix > _MOST_PREFIX_TOKENS:
            raise BequeathError(
                f"players positions: the {tokens} tokens of layer {self.layer!r} are no square; give rows = 1 for "
                "runs of tokens"
            )
        self._check(side, side)
        square = cells(side, side, self.rows, self.cols).flatten()
        return torch.cat((torch.full((prefix,), SHOWN), square))

    def __str__(self) -> str:
        return f"{self.rows} x {self.cols} grid of positions at layer {self.layer}"


@dataclass(frozen=True)
class Channels(Players):
    """n groups of neighbouring channels of a layer's feature map, as equal as can be.

    Attributes
    ----------
    layer, layout
        As for `Positions`; an output (batch, features) has its features as channels.
    n_players : int
        Number of groups.
    """

    layer: str
    n_players: int
    layout: Layout = "auto"

    def __post_init__(self) -> None:
        if self.n_players < 1:
            raise BequeathError(f"players channels: {self.n_players} groups; give at least 1")

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Group of channels, counted from 1: ``channels 1``, ..."""
        return tuple(f"channels {i + 1}" for i in range(self.n_players))

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedFeatures:
        """Channels of the layer's output on x."""
        resumed = _bound(self.layer, x, model)
        features = resumed.features
        axis = 1 if features.ndim == 2 else _channel_axis(features, self.layout, self.layer)
        count = features.shape[axis]
        if count < self.n_players:
            raise BequeathError(
                f"players channels: {self.n_players} groups of the {count} channels of layer {self.layer!r}; take fewer"
            )
        shape = [count if a == axis else 1 for a in range(1, features.ndim)]
        owner = (torch.arange(count) * self.n_players // count).reshape(shape)
        hidden = baseline.for_features(features, axis, model, self.layer)
        return MaskedFeatures(owner.to(features.device), self.names(), features[0], hidden[0], resumed)

    def __str__(self) -> str:
        return f"{self.n_players} groups of channels at layer {self.layer}"


positions, channels = Positions, Channels
