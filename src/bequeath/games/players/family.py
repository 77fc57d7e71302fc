"""The contract of every kind of players, and some players of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.players.masked import MaskedInput, Rest

Box = tuple[float, float, float, float]
T = TypeVar("T")


class Binds(Protocol):
    """All that a game needs of its players."""

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        """Fix one sample x and the baseline; `model` is asked where players or baseline lie inside it."""


class Players:
    """The family's contract: a kind overrides `bind`, and of all else what it knows of its players.

    An object of another class with `bind` alone is as good: `players_of` makes it one of the family.
    """

    fusable = False
    """Whether the model's layers may be folded into each other: not where players may lie inside it."""

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        """Fix one sample x and the baseline; `model` is asked where players or baseline lie inside it."""
        raise NotImplementedError

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Names of the players of sample x; without x those that all samples share, none where each has its own."""
        return ()

    def captions(self, x: Any) -> tuple[str, ...] | None:
        """What stands in each player's place in x, for people to read; None where it is to be seen, not read."""
        return None

    def boxes(self) -> list[Box] | None:
        """(x0, y0, x1, y1) of each player as fractions of every picture; None where they are no boxes."""
        return None

    def label_map(self, x: Any) -> NDArray[np.int64] | None:
        """The player of each pixel of image x, negative where there is none: (height, width). None: `boxes` tell it."""
        return None

    @property
    def needs(self) -> str | None:
        """What only some samples have and the others cannot do without, in words: `fits` tells which have it."""
        return None

    def fits(self, x: Any) -> bool:
        """Whether sample x has what the players need."""
        return True

    def only(self, indices: Sequence[int]) -> Players:
        """Some of the players, by number."""
        return chosen(self, indices)


@dataclass(frozen=True)
class _Adopted(Players):
    """An object that has `bind` and nothing else of the contract."""

    given: Binds

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        return self.given.bind(x, baseline, model)

    def __str__(self) -> str:
        return str(self.given)


def players_of(given: Binds) -> Players:
    """Any object with `bind` as one of the family."""
    return given if isinstance(given, Players) else _Adopted(given)


@dataclass(frozen=True)
class Chosen(Players):
    """Some players of a kind; the rest of the input is always shown, or always hidden.

    Attributes
    ----------
    players
        Any kind of players.
    indices : tuple of int
        Which of them, in the order wanted.
    rest : "shown" or "hidden"
        What the parts of all others are.
    """

    players: Binds
    indices: tuple[int, ...]
    rest: Rest = "shown"

    def __post_init__(self) -> None:
        if self.rest not in ("shown", "hidden"):
            raise BequeathError(f'players: rest is "shown" or "hidden", not {self.rest!r}')

    @property
    def _every(self) -> Players:
        return players_of(self.players)

    def _some(self, every: Sequence[T]) -> list[T]:
        return [every[i] for i in self.indices] if every else []

    @property
    def fusable(self) -> bool:  # type: ignore[override]
        return self._every.fusable

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        """The chosen players of x."""
        return self.players.bind(x, baseline, model).only(self.indices, self.rest)

    def names(self, x: Any = None) -> tuple[str, ...]:
        return tuple(self._some(self._every.names(x)))

    def captions(self, x: Any) -> tuple[str, ...] | None:
        captions = self._every.captions(x)
        return None if captions is None else tuple(self._some(captions))

    def boxes(self) -> list[Box] | None:
        boxes = self._every.boxes()
        return None if boxes is None else self._some(boxes)

    def label_map(self, x: Any) -> NDArray[np.int64] | None:
        labels = self._every.label_map(x)
        if labels is None:
            return None
        place = np.full(max(int(labels.max()), *self.indices) + 1, -1)
        place[list(self.indices)] = range(len(self.indices))
        return np.where(labels < 0, -1, place[labels])

    @property
    def needs(self) -> str | None:
        return self._every.needs

    def fits(self, x: Any) -> bool:
        return self._every.fits(x)

    def __str__(self) -> str:
        return f"{len(self.indices)} of: {self.players} (the rest {self.rest})"


def chosen(players: Binds, indices: Sequence[int], rest: Rest = "shown") -> Chosen:
    """Only some of the players, by number; the parts of all others are always shown, or always hidden."""
    return Chosen(players, tuple(indices), rest)
