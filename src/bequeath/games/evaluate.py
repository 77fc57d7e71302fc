"""Value tables of many games."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.games.game import Game


def evaluate(
    games: Iterable[Game], batch_size: int = 128, progress: Callable[[int], None] | None = None
) -> Tensor:
    """Value tables of games with equally many players.

    Parameters
    ----------
    games : iterable of Game
        Taken one at a time, so a generator keeps one sample in memory.
    batch_size : int
        Masked inputs in one forward pass.
    progress : callable, optional
        Called with 1 after each table.

    Returns
    -------
    Tensor
        Shape (games, 2**n), float64, on the CPU.

    Raises
    ------
    BequeathError
        If the games differ in their number of players or a model gives NaN or infinity.
    """
    tables: list[Tensor] = []
    for game in games:
        table = game.table(batch_size)
        if tables and table.shape != tables[0].shape:
            n = len(tables[0]).bit_length() - 1
            raise BequeathError(
                f"games: {game.name} has {game.n_players} players, the first has {n}; evaluate them apart"
            )
        tables.append(table)
        if progress is not None:
            progress(1)
    if not tables:
        raise BequeathError("games: none given")
    return torch.stack(tables)
