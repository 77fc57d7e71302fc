"""What is hidden: the parts of one input that a game plays with.

A kind of players is an object with `bind(x, baseline, model)`, which returns a `MaskedInput`: the number and names of
the players and, for any block of masks, the model inputs with the absent players hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.inputs import Inputs
from bequeath.lattice.subsets import check_players

Box = tuple[float, float, float, float]


class MaskedInput(Protocol):
    """One sample, ready to be shown in part."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the players."""

    def inputs(self, masks: Tensor) -> Inputs:
        """Model inputs for masks of shape (batch, players), bool: True keeps the player."""


class Players(Protocol):
    """The family's contract."""

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        """Fix one sample x and the baseline; `model` is asked for its embeddings where players are words."""


@dataclass(frozen=True)
class _MaskedImage:
    image: Tensor
    hidden: Tensor
    owner: Tensor
    names: tuple[str, ...]

    def inputs(self, masks: Tensor) -> Tensor:
        # (batch, players) indexed by each pixel's owner: one picture-sized mask a row.
        keep = masks.to(self.image.device)[:, self.owner][:, None]
        return torch.where(keep, self.image, self.hidden)


@dataclass(frozen=True)
class Grid:
    """The cells of a rows x cols grid over an image (channels, height, width); player r * cols + c."""

    rows: int
    cols: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise BequeathError(f"players grid: {self.rows} x {self.cols}; both must be at least 1")
        check_players(self.n)

    @property
    def n(self) -> int:
        """Number of players."""
        return self.rows * self.cols

    def names(self) -> tuple[str, ...]:
        """Row and column of each cell, counted from 1: ``r1c1``, ..."""
        return tuple(f"r{r + 1}c{c + 1}" for r in range(self.rows) for c in range(self.cols))

    def boxes(self) -> list[Box]:
        """(x0, y0, x1, y1) of each cell as fractions of the picture."""
        return [
            (c / self.cols, r / self.rows, (c + 1) / self.cols, (r + 1) / self.rows)
            for r in range(self.rows)
            for c in range(self.cols)
        ]

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> _MaskedImage:
        """Cells of x, shape (channels, height, width); cells differ by a pixel where the sides do not divide."""
        if not isinstance(x, Tensor) or x.ndim != 3:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise BequeathError(
                f"players grid: an image tensor (channels, height, width) is needed, not {shape}"
            )
        height, width = x.shape[1:]
        if height < self.rows or width < self.cols:
            raise BequeathError(f"players grid: {self.rows} x {self.cols} cells on {height} x {width} pixels")
        row = torch.arange(height, device=x.device) * self.rows // height
        col = torch.arange(width, device=x.device) * self.cols // width
        owner = row[:, None] * self.cols + col
        return _MaskedImage(x, baseline.for_image(x), owner, self.names())

    def __str__(self) -> str:
        return f"{self.rows} x {self.cols} grid of image cells"


@dataclass(frozen=True)
class _MaskedTokens:
    tokens: dict[str, Tensor]
    owner: Tensor
    fill: Tensor | int
    embed: nn.Module
    names: tuple[str, ...]

    def inputs(self, masks: Tensor) -> dict[str, Tensor]:
        batch = len(masks)
        # A last, always present column stands for special tokens, which belong to no player.
        always = torch.ones(batch, 1, dtype=torch.bool, device=masks.device)
        keep = torch.cat((masks, always), dim=1)[:, self.owner].to(self.tokens["input_ids"].device)
        inputs = {name: value.expand(batch, -1) for name, value in self.tokens.items()}
        ids = inputs.pop("input_ids")
        if isinstance(self.fill, int):
            return {"input_ids": torch.where(keep, ids, self.fill), **inputs}
        vectors = self.embed(self.tokens["input_ids"])
        return {"inputs_embeds": torch.where(keep[..., None], vectors, self.fill), **inputs}


@dataclass(frozen=True)
class Words:
    """The words of a text, split at white space; special tokens always stay.

    Attributes
    ----------
    tokenizer
        A fast tokenizer of `transformers` (its `word_ids` tell which token is whose).
    n : int or None
        None: every word is a player. A number: the words are dealt into n runs of neighbours, as equal as can be.
    """

    tokenizer: Any
    n: int | None = None

    def split(self, text: str) -> list[list[str]]:
        """The words of each player, in order."""
        words = text.split()
        n = len(words) if self.n is None else self.n
        if not words or len(words) < n:
            raise BequeathError(f"players words: {len(words)} words for {n or 'any'} players in {text!r}")
        check_players(n)
        return [words[len(words) * i // n : len(words) * (i + 1) // n] for i in range(n)]

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> _MaskedTokens:
        """Words of the text x; `model` gives the embedding table (`get_input_embeddings`)."""
        if not isinstance(x, str):
            raise BequeathError(f"players words: a text is needed, not {type(x).__name__}")
        runs = self.split(x)
        player_of_word = [player for player, run in enumerate(runs) for _ in run]
        words = [word for run in runs for word in run]
        encoded = self.tokenizer(words, is_split_into_words=True, return_tensors="pt", truncation=True)
        word_ids = encoded.word_ids(0)
        missing = set(range(len(words))) - set(word_ids)
        if missing:
            raise BequeathError(
                f"players words: the tokenizer gives no token for word {words[min(missing)]!r} "
                f"(number {min(missing) + 1}) of {x!r}; shorten or clean the text"
            )
        owner = torch.tensor([len(runs) if word is None else player_of_word[word] for word in word_ids])
        device = next(model.parameters()).device
        embed = model.get_input_embeddings()  # type: ignore[operator]
        fill = baseline.for_tokens(embed.weight, self.tokenizer.mask_token_id)
        tokens = {name: value.to(device) for name, value in encoded.items()}
        return _MaskedTokens(tokens, owner, fill, embed, tuple(" ".join(run) for run in runs))

    def __str__(self) -> str:
        return "words" if self.n is None else f"{self.n} runs of words"


def grid(rows: int, cols: int) -> Grid:
    """Players are the cells of a rows x cols grid over the image."""
    return Grid(rows, cols)


def words(tokenizer: Any, n: int | None = None) -> Words:
    """Players are the words of a text, or n runs of neighbouring words; the tokenizer is a fast `transformers` one."""
    return Words(tokenizer, n)
