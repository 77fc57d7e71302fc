"""Players of a row of a table: columns, or groups of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.players.family import Players
from bequeath.games.players.masked import SHOWN, MaskedTensor
from bequeath.printable import one_line


@dataclass(frozen=True)
class Columns(Players):
    """Columns of a row, or groups of them, as players; columns in no group are always shown. `columns` makes it.

    Attributes
    ----------
    groups : tuple of (str, tuple of int)
        Name and column numbers of each player. Empty: each column is a player.
    width : int or None
        Number of columns of the rows; None: any number.

    Examples
    --------
    >>> import bequeath as bq
    >>> players = bq.players.Columns((("age", (0,)), ("city", (1, 2))), width=3)
    >>> players.names()
    ('age', 'city')
    """

    groups: tuple[tuple[str, tuple[int, ...]], ...]
    width: int | None = None

    __repr__ = one_line

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTensor:
        """Bind the row x, shape (columns,)."""
        if not isinstance(x, Tensor) or x.ndim != 1 or not len(x):
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise BequeathError(f"players columns: {shape} given; give a row (columns,)")
        groups = self._groups(x)
        last = max(i for _, members in groups for i in members)
        if (self.width or last + 1) > len(x) or (self.width is not None and self.width != len(x)):
            raise BequeathError(
                f"players columns: this row has {len(x)} columns; give rows of {self.width or last + 1}"
            )
        owner = torch.full((len(x),), SHOWN)
        for player, (_, members) in enumerate(groups):
            owner[list(members)] = player
        return MaskedTensor(owner.to(x.device), tuple(name for name, _ in groups), x, baseline.for_columns(x))

    def _groups(self, x: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return self.groups or tuple((f"column {i}", (i,)) for i in range(len(x)))

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Names of the columns or groups."""
        return tuple(name for name, _ in (self.groups if x is None else self._groups(x)))

    def captions(self, x: Any) -> tuple[str, ...]:
        """Names, with the values of single columns; x is the row in the units that a reader knows."""
        return tuple(
            f"{name} = {x[members[0]]:.4g}" if len(members) == 1 else name
            for name, members in self._groups(x)
        )

    def __str__(self) -> str:
        if not self.groups:
            return "columns of a table"
        single = all(len(members) == 1 for _, members in self.groups)
        return f"{len(self.groups)} {'columns' if single else 'groups of columns'} of a table"


def columns(
    names: Sequence[str] | None = None, groups: Mapping[str, Sequence[str | int]] | None = None
) -> Columns:
    """Players are the columns of a table, or groups of them (such as the columns of one one-hot code).

    Parameters
    ----------
    names : sequence of str, optional
        Names of all columns in order; by default ``column 0``, ...
    groups : mapping of str to sequences of str or int, optional
        Columns of each player, by name or number; columns in no group are always shown. By default each column is a
        player.

    Returns
    -------
    Columns

    Raises
    ------
    BequeathError
        If a column is unknown or in two groups, a group is empty, or names repeat.

    Examples
    --------
    >>> import bequeath as bq
    >>> groups = {"age": ["age"], "city": ["city=A", "city=B"]}
    >>> bq.players.columns(["age", "city=A", "city=B"], groups).names()
    ('age', 'city')
    """
    if names is not None and not len(names):
        raise BequeathError("players columns: no names given; leave names out for numbered columns")
    if names is not None and len(set(names)) != len(names):
        raise BequeathError("players columns: names repeat; give each column its own")
    width = None if names is None else len(names)
    if groups is None:
        return Columns(tuple((str(name), (i,)) for i, name in enumerate(names or ())), width)
    numbered: list[tuple[str, tuple[int, ...]]] = []
    owner: dict[int, str] = {}
    for group, members in groups.items():
        numbers = tuple(_number(member, names, group) for member in members)
        if not numbers:
            raise BequeathError(f"players columns: group {group!r} is empty; give it at least one column")
        for number in numbers:
            if number in owner:
                raise BequeathError(
                    f"players columns: column {number} is in the groups {owner[number]!r} and {group!r}; give it to one"
                )
            owner[number] = group
        numbered.append((group, numbers))
    if not numbered:
        raise BequeathError("players columns: no groups given; leave groups out for single columns")
    return Columns(tuple(numbered), width)


def _number(member: str | int, names: Sequence[str] | None, group: str) -> int:
    if isinstance(member, str):
        if names is None or member not in names:
            known = "names are not given" if names is None else f"there are {', '.join(names)}"
            raise BequeathError(f"players columns: no column {member!r} (group {group!r}); {known}")
        return list(names).index(member)
    if member < 0 or (names is not None and member >= len(names)):
        raise BequeathError(f"players columns: no column {member} (group {group!r}); columns count from 0")
    return member
