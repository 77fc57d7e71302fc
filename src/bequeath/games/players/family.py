"""The base class of all kinds of players, and a selection of the players of a kind."""

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
    """The interface that a game needs: any object with this method can be the players.

    Examples
    --------
    Players that are the two halves of a row:

    >>> import torch
    >>> import bequeath as bq
    >>> class Halves:
    ...     def bind(self, x, baseline, model):
    ...         owner = (torch.arange(len(x)) >= len(x) // 2).long()
    ...         return bq.players.MaskedTensor(owner, ("left", "right"), x, baseline.for_columns(x))
    >>> masked = Halves().bind(torch.ones(4), bq.baselines.zero(), torch.nn.Linear(4, 2))
    >>> masked.inputs(torch.tensor([[True, False]])).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        """Bind the players to one sample x and a baseline; `model` is used if players or baseline lie inside it."""


class Players:
    """Base class of all kinds of players. A kind overrides `bind`, and other methods where it knows more.

    An object of another class with `bind` is enough for a game; `players_of` gives it the other methods.

    Examples
    --------
    Players of a row that are its columns:

    >>> import torch
    >>> import bequeath as bq
    >>> class Single(bq.players.Players):
    ...     def bind(self, x, baseline, model):
    ...         names = tuple(f"column {i}" for i in range(len(x)))
    ...         return bq.players.MaskedTensor(torch.arange(len(x)), names, x, baseline.for_columns(x))
    >>> game = bq.Game(
    ...     torch.nn.Linear(3, 2), torch.ones(3), Single(), bq.baselines.zero(), bq.values.log_odds(0)
    ... )
    >>> game.player_names
    ('column 0', 'column 1', 'column 2')
    """

    fusable = False
    """Whether layers of the model may be fused; not if players may lie inside it."""

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        """Bind the players to one sample x and a baseline; `model` is used if players or baseline lie inside it."""
        raise NotImplementedError

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Names of the players of sample x. Without x: the names that all samples share, empty if there are none."""
        return ()

    def captions(self, x: Any) -> tuple[str, ...] | None:
        """The content of each player in sample x as text, for reports; None if it can only be shown as an image."""
        return None

    def boxes(self) -> list[Box] | None:
        """(x0, y0, x1, y1) of each player as fractions of every image; None if the players are not boxes."""
        return None

    def label_map(self, x: Any) -> NDArray[np.int64] | None:
        """The player of each pixel of image x, (height, width), negative for none; None if `boxes` has them."""
        return None

    @property
    def needs(self) -> str | None:
        """In words: what a sample needs to be bound, if not all samples have it. `fits` checks a sample."""
        return None

    def fits(self, x: Any) -> bool:
        """Whether sample x can be bound to the players."""
        return True

    def only(self, indices: Sequence[int]) -> Players:
        """A selection of the players, by number."""
        return chosen(self, indices)


@dataclass(frozen=True)
class _Adopted(Players):
    """Players from an object that only has `bind`."""

    given: Binds

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        return self.given.bind(x, baseline, model)

    def __str__(self) -> str:
        return str(self.given)


def players_of(given: Binds) -> Players:
    """Any object with `bind` as an object of the class `Players`.

    Parameters
    ----------
    given
        Players of any class.

    Returns
    -------
    Players
        The object itself if it is one already.

    Examples
    --------
    >>> import bequeath as bq
    >>> grid = bq.players.grid(2, 2)
    >>> bq.players.players_of(grid) is grid
    True
    """
    return given if isinstance(given, Players) else _Adopted(given)


@dataclass(frozen=True)
class Chosen(Players):
    """A selection of the players of a kind; all others are always shown, or always hidden. `chosen` makes it.

    Attributes
    ----------
    players
        Any kind of players.
    indices : tuple of int
        Numbers of the selected players, in their new order.
    rest : "shown" or "hidden"
        Whether the parts of all other players are shown or hidden.

    Examples
    --------
    >>> import bequeath as bq
    >>> bq.players.Chosen(bq.players.columns(["age", "height", "city"]), (2, 0)).names()
    ('city', 'age')
    """

    players: Binds
    indices: tuple[int, ...]
    rest: Rest = "shown"

    def __post_init__(self) -> None:
        if self.rest not in ("shown", "hidden"):
            raise BequeathError(f'players: rest {self.rest!r}; give "shown" or "hidden"')

    @property
    def _all(self) -> Players:
        return players_of(self.players)

    def _selected(self, entries: Sequence[T]) -> list[T]:
        return [entries[i] for i in self.indices] if entries else []

    @property
    def fusable(self) -> bool:  # type: ignore[override]
        return self._all.fusable

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedInput:
        """Bind the selected players to sample x."""
        return self.players.bind(x, baseline, model).only(self.indices, self.rest)

    def names(self, x: Any = None) -> tuple[str, ...]:
        return tuple(self._selected(self._all.names(x)))

    def captions(self, x: Any) -> tuple[str, ...] | None:
        captions = self._all.captions(x)
        return None if captions is None else tuple(self._selected(captions))

    def boxes(self) -> list[Box] | None:
        boxes = self._all.boxes()
        return None if boxes is None else self._selected(boxes)

    def label_map(self, x: Any) -> NDArray[np.int64] | None:
        labels = self._all.label_map(x)
        if labels is None:
            return None
        player = np.full(max(int(labels.max()), *self.indices) + 1, -1)
        player[list(self.indices)] = range(len(self.indices))
        return np.where(labels < 0, -1, player[labels])

    @property
    def needs(self) -> str | None:
        return self._all.needs

    def fits(self, x: Any) -> bool:
        return self._all.fits(x)

    def __str__(self) -> str:
        return f"{len(self.indices)} of: {self.players} (the rest {self.rest})"


def chosen(players: Binds, indices: Sequence[int], rest: Rest = "shown") -> Chosen:
    """A selection of the players of a kind; all others are always shown, or always hidden.

    Parameters
    ----------
    players
        Any kind of players.
    indices : sequence of int
        Numbers of the selected players, in their new order.
    rest : "shown" or "hidden"
        Whether the parts of all other players are shown or hidden.

    Returns
    -------
    Chosen

    Examples
    --------
    >>> import bequeath as bq
    >>> bq.players.chosen(bq.players.columns(["age", "height", "city"]), [2, 0]).names()
    ('city', 'age')
    """
    return Chosen(players, tuple(indices), rest)
