"""The `players` section of a study file: one class per kind, each of which makes the players."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AliasChoices, Discriminator, Field, Tag, model_validator

from bequeath.errors import BequeathError
from bequeath.games import players
from bequeath.games.inputs import Modality
from bequeath.games.players import Players
from bequeath.models.named import call_own
from bequeath.study.config.own import OwnName, own_function
from bequeath.study.config.section import Section

Rest = Literal["shown", "hidden"]
# In a study file n is short for n_players.
COUNT = AliasChoices("n_players", "n")


@dataclass(frozen=True)
class DataFacts:
    """What players may need to know about the data: the tokenizer and prompt of texts, the columns of tables."""

    tokenizer: Any = None
    prompt: str = "{}"
    columns: tuple[str, ...] = ()


class _Players(Section):
    """Base of all kinds. Each kind also has `n_players`, which is None if the data decide it."""

    modality: ClassVar[tuple[Modality, ...]]
    baselines: ClassVar[tuple[str, ...]]
    """The baselines that fit these players."""

    @property
    def influential(self) -> int | None:
        """How many players are chosen for each sample by their influence on the models; None if none are chosen."""
        return None

    def make(self, facts: DataFacts) -> Players:
        """Make the players, before any choice by influence."""
        raise NotImplementedError

    def paths(self) -> dict[str, Path]:
        """Files that must exist, by key."""
        return {}


class _ImagePlayers(_Players):
    modality = ("image",)
    baselines = ("mean", "zero", "blur", "dataset_mean", "given")


class GridConfig(_ImagePlayers):
    """Players are cells of a grid over the image."""

    kind: Literal["grid"]
    rows: int = Field(ge=1, le=1024)
    cols: int = Field(ge=1, le=1024)
    cells: Literal["all", "central", "influential"] | list[int] = "all"
    """Which cells are players: all; central: the k nearest to the centre; influential: for each sample the k that
    matter most to the models; or a list of cells (row * cols + column)."""
    k: int | None = Field(None, ge=1)
    rest: Rest = "shown"

    @model_validator(mode="after")
    def _chosen(self) -> GridConfig:
        needs_k = self.cells in ("central", "influential")
        if needs_k != (self.k is not None):
            raise ValueError("k: is needed by cells: central and influential, and by no other cells")
        if self.k is not None and self.k > self.rows * self.cols:
            raise ValueError(
                f"k: {self.k} of {self.rows} x {self.cols} cells; give at most {self.rows * self.cols}"
            )
        return self

    @property
    def n_players(self) -> int:
        if self.k is not None:
            return self.k
        return len(self.cells) if isinstance(self.cells, list) else self.rows * self.cols

    @property
    def influential(self) -> int | None:
        return self.k if self.cells == "influential" else None

    def make(self, facts: DataFacts) -> Players:
        cells = self.cells if isinstance(self.cells, list) else self.k if self.cells == "central" else None
        return players.grid(self.rows, self.cols, cells, self.rest)


class SuperpixelsConfig(_ImagePlayers):
    """Players are n SLIC superpixels of each image."""

    kind: Literal["superpixels"]
    n_players: int = Field(10, ge=2, validation_alias=COUNT)
    compactness: float = Field(10.0, gt=0)

    def make(self, facts: DataFacts) -> Players:
        return players.superpixels(self.n_players, self.compactness)


class RegionsConfig(_ImagePlayers):
    """Players are the regions of a label map of the images' size: .npy of integers, negative outside all regions."""

    kind: Literal["regions"]
    path: Path
    rest: Rest = "shown"

    @property
    def n_players(self) -> int:
        return self.regions.n_players

    @cached_property
    def regions(self) -> players.Regions:
        """The regions in the file, read once, because every game needs them."""
        try:
            labels = np.load(self.path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BequeathError(
                f"players.path: {self.path}: not an .npy array ({error}); save it with numpy.save"
            ) from None
        return players.regions(labels, rest=self.rest)

    def paths(self) -> dict[str, Path]:
        return {"path": self.path}

    def make(self, facts: DataFacts) -> Players:
        return self.regions


class TextPlayersConfig(_Players):
    """Players are n runs of neighbouring words, tokens or sentences. Texts with fewer are not used as samples."""

    modality = ("text",)
    baselines = ("mask_token", "pad", "removal", "mean", "zero", "given")
    kind: Literal["words", "tokens", "sentences"]
    n_players: int = Field(10, ge=2, validation_alias=COUNT)

    def make(self, facts: DataFacts) -> Players:
        return players.Text(facts.tokenizer, self.kind, self.n_players, facts.prompt)


class ColumnsConfig(_Players):
    """Players are the columns of a table, or groups of columns. Columns in no group are always shown."""

    modality = ("table",)
    baselines = ("dataset_mean", "zero", "given")
    kind: Literal["columns"]
    groups: dict[str, list[str]] | None = None

    @property
    def n_players(self) -> int | None:
        return None if self.groups is None else len(self.groups)

    def make(self, facts: DataFacts) -> Players:
        return players.columns(facts.columns, self.groups)


class _FeaturePlayers(_Players):
    modality = ("image", "table")
    baselines = ("dataset_mean", "mean", "zero", "given")
    layer: str
    """Path of a module in all models, such as layer3."""
    layout: Literal["auto", "channels_first", "channels_last"] = "auto"


class PositionsConfig(_FeaturePlayers):
    """Players are cells of a grid over the positions of a layer's feature map."""

    kind: Literal["positions"]
    rows: int = Field(ge=1, le=1024)
    cols: int = Field(ge=1, le=1024)

    @property
    def n_players(self) -> int:
        return self.rows * self.cols

    def make(self, facts: DataFacts) -> Players:
        return players.positions(self.layer, self.rows, self.cols, self.layout)


class ChannelsConfig(_FeaturePlayers):
    """Players are n groups of neighbouring channels of a layer's feature map."""

    kind: Literal["channels"]
    n_players: int = Field(10, ge=2, validation_alias=COUNT)

    def make(self, facts: DataFacts) -> Players:
        return players.channels(self.layer, self.n_players, self.layout)


class OwnPlayersConfig(_Players):
    """Players from a user's own function."""

    modality = ("image", "text", "table")
    kind: OwnName
    """``module:function``, which returns players: any object with `bind` (docs/games.md)."""
    n_players: int = Field(ge=1, validation_alias=COUNT)
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the function."""

    def make(self, facts: DataFacts) -> Players:
        made = call_own(own_function(self.kind), **self.options)
        if not callable(getattr(made, "bind", None)):
            raise BequeathError(
                f"players.kind: {self.kind} returns a {type(made).__name__}; it must return players: an object with "
                "bind(x, baseline, model)"
            )
        return players.players_of(made)


def _kind(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "module:function" if isinstance(kind, str) and ":" in kind else str(kind)


PlayersConfig = Annotated[
    Annotated[GridConfig, Tag("grid")]
    | Annotated[SuperpixelsConfig, Tag("superpixels")]
    | Annotated[RegionsConfig, Tag("regions")]
    | Annotated[TextPlayersConfig, Tag("words")]
    | Annotated[TextPlayersConfig, Tag("tokens")]
    | Annotated[TextPlayersConfig, Tag("sentences")]
    | Annotated[ColumnsConfig, Tag("columns")]
    | Annotated[PositionsConfig, Tag("positions")]
    | Annotated[ChannelsConfig, Tag("channels")]
    | Annotated[OwnPlayersConfig, Tag("module:function")],
    Discriminator(_kind),
]
