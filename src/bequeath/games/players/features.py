"""Players inside the network: positions or channels of the feature map of a layer."""

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
    """The output of a layer for one sample (without its batch axis), and the rest of the network after the layer."""

    resumed: Resumed

    __repr__ = one_line

    def network(self, model: nn.Module) -> Callable[[Inputs], Tensor]:
        """The part of the model after the layer; the part before it ran once, when the sample was bound."""
        assert model is self.resumed.model
        return self.resumed  # type: ignore[return-value]

    def batch_key(self) -> Hashable:
        """Its own: skip connections around the layer hold this sample, so no other may share its batches."""
        return id(self)

    def to(self, device: torch.device) -> MaskedFeatures:
        if device != self.x.device:
            raise BequeathError(
                f"device {device}: the feature map was made on the model's device ({self.x.device}); move the model "
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
            f"players at layer {layer!r}: {type(x).__name__} given; give a tensor, or a mapping of tensors (1, ...) "
            "that the model takes by name"
        )
    with torch.inference_mode():
        return Resumed(model, layer, inputs).checked()


def _channel_axis(features: Tensor, layout: Layout, layer: str) -> int:
    """Axis of the channels in a feature map with a batch axis."""
    if features.ndim == 3:  # tokens: (1, tokens, channels)
        return 2
    if features.ndim != 4:
        raise BequeathError(
            f"players at layer {layer!r}: its output {tuple(features.shape)} is not a feature map (batch, channels, "
            "height, width) or (batch, tokens, channels); give an earlier layer"
        )
    if layout != "auto":
        return 1 if layout == "channels_first" else 3
    # A square map shows its layout, unless it has as many channels as rows.
    _, a, b, c = features.shape
    return 3 if a == b != c else 1


@dataclass(frozen=True)
class Positions(Players):
    """Players are cells of a rows x cols grid over the positions of the feature map of a layer.

    Parameters
    ----------
    layer : str
        Path of the module whose output is masked, such as ``"layer3"`` (the third stage of a ResNet) or ``"blocks.5"``
        (the tokens after the sixth block of a vision transformer).
    rows, cols : int
        Size of the grid; the cell in row r and column c is player r * cols + c.
    layout : "auto", "channels_first" or "channels_last"
        Layout of feature maps with four axes. An output (batch, tokens, channels) is read as a square of tokens after
        the class token and similar ones, which are always shown; with rows = 1, as cols runs of tokens.

    Raises
    ------
    BequeathError
        If the grid is empty; when it is bound, if the layer does not fit.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 2), torch.nn.Flatten(), torch.nn.Linear(18, 2))
    >>> players = bq.players.positions("0", 3, 3)  # the 3 x 3 positions after the convolution
    >>> game = bq.Game(model, torch.ones(3, 4, 4), players, bq.baselines.zero(), bq.values.log_odds(1))
    >>> game.n_players, game.player_names[:2]
    (9, ('r1c1', 'r1c2'))
    """

    layer: str
    rows: int
    cols: int
    layout: Layout = "auto"

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise BequeathError(f"players positions: {self.rows} x {self.cols} cells; give at least 1 x 1")

    @property
    def n_players(self) -> int:
        """Number of players."""
        return self.rows * self.cols

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Row and column of each cell, counted from 1: ``r1c1``, ..."""
        return cell_names(self.rows, self.cols)

    def boxes(self) -> list[Box]:
        """(x0, y0, x1, y1) of each cell as fractions of the image."""
        return cell_boxes(self.rows, self.cols)

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedFeatures:
        """Bind the positions of the layer's output for sample x."""
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
                f"players positions: the {tokens} tokens of layer {self.layer!r} do not form a square; give rows = 1 "
                "for runs of tokens"
            )
        self._check(side, side)
        square = cells(side, side, self.rows, self.cols).flatten()
        return torch.cat((torch.full((prefix,), SHOWN), square))

    def __str__(self) -> str:
        return f"{self.rows} x {self.cols} grid of positions at layer {self.layer}"


@dataclass(frozen=True)
class Channels(Players):
    """Players are groups of neighbouring channels of the feature map of a layer; the groups are as equal as possible.

    Parameters
    ----------
    layer : str
        Path of the module whose output is masked. In an output (batch, features), the features are the channels.
    n_players : int
        Number of groups.
    layout : "auto", "channels_first" or "channels_last"
        Layout of feature maps with four axes.

    Raises
    ------
    BequeathError
        If there is no group; when they are bound, if the layer does not fit.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    >>> game = bq.Game(
    ...     model, torch.ones(3), bq.players.channels("0", 2), bq.baselines.zero(), bq.values.log_odds(1)
    ... )
    >>> game.player_names
    ('channels 1', 'channels 2')
    """

    layer: str
    n_players: int
    layout: Layout = "auto"

    def __post_init__(self) -> None:
        if self.n_players < 1:
            raise BequeathError(f"players channels: {self.n_players} groups; give at least 1")

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Number of each group, counted from 1: ``channels 1``, ..."""
        return tuple(f"channels {i + 1}" for i in range(self.n_players))

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedFeatures:
        """Bind the channels of the layer's output for sample x."""
        resumed = _bound(self.layer, x, model)
        features = resumed.features
        axis = 1 if features.ndim == 2 else _channel_axis(features, self.layout, self.layer)
        count = features.shape[axis]
        if count < self.n_players:
            raise BequeathError(
                f"players channels: {self.n_players} groups of the {count} channels of layer {self.layer!r}; give fewer"
            )
        shape = [count if a == axis else 1 for a in range(1, features.ndim)]
        owner = (torch.arange(count) * self.n_players // count).reshape(shape)
        hidden = baseline.for_features(features, axis, model, self.layer)
        return MaskedFeatures(owner.to(features.device), self.names(), features[0], hidden[0], resumed)

    def __str__(self) -> str:
        return f"{self.n_players} groups of channels at layer {self.layer}"


positions, channels = Positions, Channels
