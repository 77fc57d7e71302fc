"""Value tables of many games."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sized
from typing import Any

import torch
from torch import Tensor

from bequeath.bars import Tick, ticking
from bequeath.errors import BequeathError
from bequeath.games.game import Game
from bequeath.games.runner import Evaluation, Request, Runner, values


def evaluate(
    games: Iterable[Game],
    batch_size: int | None = None,
    progress: bool | Tick = False,
    **options: Any,
) -> Tensor:
    """Value tables of games with equally many players.

    Masked inputs of games of one model share batches, so small games fill them too; give such games one after the
    other. Memory that runs out lowers the batch size instead of failing.

    Parameters
    ----------
    games : iterable of Game
        Taken one at a time, so a generator keeps few samples in memory.
    batch_size : int, optional
        Masked inputs in one forward pass; by default the fastest that fits, found on the work itself.
    progress : bool or callable
        Show a bar; or a function that is called with 1 after each table.
    **options
        All others of `Evaluation`, such as ``device="cuda"`` or ``memory="4GiB"``.

    Returns
    -------
    Tensor
        Shape (games, 2**n), float64, on the CPU.

    Raises
    ------
    BequeathError
        If an option is unknown or out of range, the games differ in their number of players, or a model gives NaN or
        infinity.
    """
    how = Evaluation.of({"batch_size": batch_size, **options}, "progress")
    value_tables: list[Tensor] = []
    with ticking(progress, "value tables", len(games) if isinstance(games, Sized) else None) as tick:
        for table in tables(games, how, same_players=True):
            value_tables.append(table)
            tick(1)
    if not value_tables:
        raise BequeathError("games: none given")
    return torch.stack(value_tables)


def tables(
    games: Iterable[Game], how: Evaluation | None = None, *, same_players: bool = False
) -> Iterator[Tensor]:
    """Value tables one after the other, each as soon as it is whole: float64, (2**n,), in the order of the games.

    Parameters
    ----------
    games : iterable of Game
        As for `evaluate`; the numbers of players may differ unless `same_players`.
    how : Evaluation, optional
        How models are run.
    """
    how = how or Evaluation()
    runner: Runner | None = None
    started: deque[Request] = deque()
    n: int | None = None
    for game in games:
        if same_players and n is not None and game.n_players != n:
            raise BequeathError(
                f"games: {game.name} has {game.n_players} players, the first has {n}; evaluate them apart"
            )
        n = game.n_players
        if runner is None or runner.model is not game.model:
            if runner is not None:
                runner.flush()
            runner = Runner(game.model, how)
        started.append(game.start(runner))
        while started and not started[0].left:
            yield started.popleft().out
    if runner is not None:
        runner.flush()
    for request in started:
        yield request.out


def effect_on_values(game: Game, masks: int = 256, seed: int = 0, **how: Any) -> dict[str, float]:
    """What a way of running a model does to v: its largest and mean change on random masks.

    Parameters
    ----------
    game : Game
    masks : int
        How many masks are drawn; the full and the empty one are always among them.
    seed : int
        Of the draw.
    **how
        As for `evaluate`, such as ``autocast="bfloat16"``; compared with float32, no reuse, contiguous layout.

    Returns
    -------
    dict
        ``max`` and ``mean`` of |change of v|; ``relative``: the largest by |v(N) - v(empty)|.
    """
    if masks < 2:
        raise BequeathError(f"masks: {masks}; give at least 2, for the full and the empty one")
    n = game.n_players
    generator = torch.Generator().manual_seed(seed)
    shown = torch.rand(masks, n, generator=generator) < 0.5
    shown[0], shown[-1] = False, True
    plain = Evaluation(channels_last=False, reuse=False)
    found = [
        values(game.model, game.masked, game.value, shown, options, game.name)
        for options in (plain, Evaluation.of(how, "masks", "seed"))
    ]
    change = (found[1] - found[0]).abs()
    scale = (found[0][-1] - found[0][0]).abs().clamp(min=1e-12)
    return {
        "max": change.max().item(),
        "mean": change.mean().item(),
        "relative": (change.max() / scale).item(),
    }
