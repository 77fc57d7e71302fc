"""The games of a study file: players, baseline, value, and how the models are run. Sections make live objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from math import log2
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import AliasChoices, Field, field_validator, model_validator
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.games import baselines, players, values
from bequeath.games.baselines import Baseline
from bequeath.games.inputs import Modality
from bequeath.games.players import Players
from bequeath.games.players.image import central
from bequeath.games.runner import Evaluation, Options
from bequeath.study.config.section import Section

Rest = Literal["shown", "hidden"]
# In a study file n is short for n_players.
COUNT = AliasChoices("n_players", "n")


class _Players(Section):
    """What all kinds have; each says its number of players n too, None where the data decide."""

    modality: ClassVar[tuple[Modality, ...]]
    baselines: ClassVar[tuple[str, ...]]
    """Those that fit."""

    def paths(self) -> dict[str, Path]:
        """Files that must be there, by key."""
        return {}


class _ImagePlayers(_Players):
    modality = ("image",)
    baselines = ("mean", "zero", "blur", "dataset_mean", "given")


class GridConfig(_ImagePlayers):
    """Players are cells of a grid over the image."""

    kind: Literal["grid"]
    rows: int = Field(ge=1)
    cols: int = Field(ge=1)
    cells: Literal["all", "central", "influential"] | list[int] = "all"
    """Which cells: all; the k nearest to the centre; for each sample the k that matter most to the three models; or
    given ones (row * cols + column)."""
    k: int | None = Field(None, ge=1)
    rest: Rest = "shown"

    @model_validator(mode="after")
    def _chosen(self) -> GridConfig:
        some = self.cells in ("central", "influential")
        if some != (self.k is not None):
            raise ValueError("k goes with cells: central or influential, which need it")
        if self.k is not None and self.k > self.rows * self.cols:
            raise ValueError(f"k: {self.k} of {self.rows} x {self.cols} cells")
        return self

    @property
    def n_players(self) -> int:
        if self.k is not None:
            return self.k
        return len(self.cells) if isinstance(self.cells, list) else self.rows * self.cols

    @property
    def influential(self) -> bool:
        """Whether the cells are chosen for each sample by what the models make of it."""
        return self.cells == "influential"

    def make(self, cells: Sequence[int] | None = None) -> players.Grid:
        """The players; `cells` are those that were found to be influential."""
        if cells is None and self.cells == "central":
            assert self.k is not None
            cells = central(self.rows, self.cols, self.k)
        elif cells is None:
            cells = self.cells if isinstance(self.cells, list) else range(self.rows * self.cols)
        return players.grid(self.rows, self.cols, list(cells), self.rest)


class SuperpixelsConfig(_ImagePlayers):
    """Players are n SLIC superpixels of each image."""

    kind: Literal["superpixels"]
    n_players: int = Field(10, ge=2, validation_alias=COUNT)
    compactness: float = Field(10.0, gt=0)

    def make(self) -> Players:
        return players.superpixels(self.n_players, self.compactness)


class RegionsConfig(_ImagePlayers):
    """Players are the regions of a label map of the images' size: .npy of integers, negative where there is none."""

    kind: Literal["regions"]
    path: Path
    rest: Rest = "shown"

    @property
    def n_players(self) -> int:
        return self.regions.n_players

    @cached_property
    def regions(self) -> players.Regions:
        """The regions in the file, read once: every game asks for them."""
        try:
            labels = np.load(self.path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BequeathError(f"players.path: {self.path}: no .npy array ({error})") from None
        return players.regions(labels, rest=self.rest)

    def paths(self) -> dict[str, Path]:
        return {"path": self.path}

    def make(self) -> Players:
        return self.regions


class TextPlayersConfig(_Players):
    """Players are n runs of neighbouring words, tokens or sentences; texts with fewer are not drawn."""

    modality = ("text",)
    baselines = ("mask_token", "pad", "removal", "mean", "zero", "given")
    kind: Literal["words", "tokens", "sentences"]
    n_players: int = Field(10, ge=2, validation_alias=COUNT)

    def make(self, tokenizer: Any, prompt: str) -> players.Text:
        return players.Text(tokenizer, self.kind, self.n_players, prompt)


class ColumnsConfig(_Players):
    """Players are the columns of a table, or groups of them; columns in no group are always shown."""

    modality = ("table",)
    baselines = ("dataset_mean", "zero", "given")
    kind: Literal["columns"]
    groups: dict[str, list[str]] | None = None

    @property
    def n_players(self) -> int | None:
        return None if self.groups is None else len(self.groups)

    def make(self, names: Sequence[str]) -> Players:
        return players.columns(names, self.groups)


class _FeaturePlayers(_Players):
    modality = ("image", "table")
    baselines = ("dataset_mean", "mean", "zero", "given")
    layer: str
    """Path of a module in all three models, such as layer3."""
    layout: Literal["auto", "channels_first", "channels_last"] = "auto"


class PositionsConfig(_FeaturePlayers):
    """Players are cells of a grid over the positions of a layer's feature map."""

    kind: Literal["positions"]
    rows: int = Field(ge=1)
    cols: int = Field(ge=1)

    @property
    def n_players(self) -> int:
        return self.rows * self.cols

    def make(self) -> players.Positions:
        return players.positions(self.layer, self.rows, self.cols, self.layout)


class ChannelsConfig(_FeaturePlayers):
    """Players are n groups of neighbouring channels of a layer's feature map."""

    kind: Literal["channels"]
    n_players: int = Field(10, ge=2, validation_alias=COUNT)

    def make(self) -> Players:
        return players.channels(self.layer, self.n_players, self.layout)


PlayersConfig = Annotated[
    GridConfig
    | SuperpixelsConfig
    | RegionsConfig
    | TextPlayersConfig
    | ColumnsConfig
    | PositionsConfig
    | ChannelsConfig,
    Field(discriminator="kind"),
]


class BlurConfig(Section):
    """The picture itself, blurred."""

    kind: Literal["blur"]
    sigma: float = Field(10.0, gt=0)


class GivenConfig(Section):
    """Values from an .npy file."""

    kind: Literal["given"]
    path: Path

    def make(self) -> Baseline:
        try:
            return baselines.given(np.load(self.path, allow_pickle=False).astype(np.float32))
        except (OSError, ValueError) as error:
            raise BequeathError(f"baseline.path: {self.path}: no .npy array of numbers ({error})") from None


PlainBaseline = Literal["mean", "zero", "blur", "dataset_mean", "mask_token", "pad", "removal"]
BaselineConfig = PlainBaseline | BlurConfig | GivenConfig


def baseline_name(config: BaselineConfig) -> str:
    """Which baseline it is."""
    return config if isinstance(config, str) else config.kind


def make_baseline(config: BaselineConfig, inputs: Callable[[], Tensor]) -> Baseline:
    """The baseline; `inputs` gives the data whose mean is meant, as the models are given them."""
    if isinstance(config, BlurConfig):
        return baselines.blur(config.sigma)
    if isinstance(config, GivenConfig):
        return config.make()
    if config == "dataset_mean":
        return baselines.dataset_mean(inputs())
    plain: Baseline = getattr(baselines, config)()
    return plain


ValueName = Literal[
    "log_odds", "log_probability", "logit", "margin", "binary_logit", "label_logit", "next_token"
]


def make_value(name: ValueName, label: int, answers: Sequence[int] | None) -> Any:
    """The value function for one label; `answers` are the classes' tokens where models go on with them."""
    if name == "next_token":
        assert answers is not None
        return values.next_token(answers[label])
    return getattr(values, name)(label)


# Numbers in a batch of inputs at which CPUs are about fastest: 16 pictures of 224 pixels, 256 of 48 (measured).
_BATCH_NUMBERS = 2**21
_LEAST, _TEXTS, _MOST = 8, 128, 256
# A GPU wants more at a time.
_GPU_TIMES = 8


def _usual_batch(numbers: int | None) -> int:
    """A power of two near the fastest size, from what one input holds."""
    if numbers is None:
        return _TEXTS
    return int(min(max(2 ** round(log2(_BATCH_NUMBERS / numbers)), _LEAST), _MOST))


class EvaluationConfig(Section, Options):  # type: ignore[misc]  # frozen, as all sections are
    """How the models are run: as for `bequeath.evaluate`, but on cuda by default where there is one."""

    batch_size: int | Literal["auto"] | None = None
    """By default from the size of the inputs, the same every time; auto: the fastest that fits into memory, found on
    the work itself, so that numbers differ in their last digits from run to run."""

    @field_validator("batch_size")
    @classmethod
    def _positive(cls, size: int | str | None) -> int | str | None:
        if isinstance(size, int) and size < 1:
            raise ValueError("at least 1, or auto")
        return size

    def make(self, numbers: int | None) -> Evaluation:
        """As `bequeath.evaluate` wants it; `numbers` are those of one input, None for texts."""
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        size: int | None
        if self.batch_size is None:
            size = _usual_batch(numbers) * (_GPU_TIMES if device.startswith("cuda") else 1)
        else:
            size = None if isinstance(self.batch_size, str) else self.batch_size
        return Evaluation(size, **{**asdict(self), "device": device})
