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
from bequeath.games.options import Evaluation
from bequeath.games.runner import Request, Runner, values


def evaluate(
    games: Iterable[Game],
    batch_size: int | None = None,
    progress: bool | Tick = False,
    **options: Any,
) -> Tensor:
    """Value tables of games with equally many players: the values of all 2**n masks (docs/method.md, section "Game").

    Masked inputs of games of one model share batches, so give games of one model one after the other. If memory runs
    out, the batch size is lowered.

    Parameters
    ----------
    games : iterable of Game
        They are taken one at a time, so a generator keeps few samples in memory.
    batch_size : int, optional
        Masked inputs in one forward pass; by default the fastest size that fits, which is searched during the work.
    progress : bool or callable
        Whether to show a bar; or a function that is called with 1 after each table.
    **options
        All other options of `Evaluation`, such as ``device="cuda"`` or ``memory="4GiB"``.

    Returns
    -------
    Tensor
        Shape (games, 2**n), float64, on the CPU, in the units of the value function. Bit i of the index is player i.

    Raises
    ------
    BequeathError
        If an option is unknown or out of range, the games differ in their number of players, or a model gives NaN or
        infinity.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> model = torch.nn.Linear(2, 2)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 2.0], [0.0, 0.0]])), model.bias.data.zero_()
    >>> game = bq.Game(
    ...     model, torch.tensor([1.0, 1.0]), bq.players.columns(), bq.baselines.zero(), bq.values.log_odds(0)
    ... )
    >>> bq.evaluate([game], batch_size=4).tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    how = Evaluation.of({"batch_size": batch_size, **options}, "progress")
    value_tables: list[Tensor] = []
    with ticking(progress, "value tables", len(games) if isinstance(games, Sized) else None) as tick:
        for table in tables(games, how, same_players=True):
            value_tables.append(table)
            tick(1)
    if not value_tables:
        raise BequeathError("games: none given; give at least one")
    return torch.stack(value_tables)


def tables(
    games: Iterable[Game], how: Evaluation | None = None, *, same_players: bool = False
) -> Iterator[Tensor]:
    """Value tables one after the other, each as soon as it is complete.

    Parameters
    ----------
    games : iterable of Game
        They are taken one at a time.
    how : Evaluation, optional
        How models are run.
    same_players : bool
        Whether to refuse games with different numbers of players.

    Yields
    ------
    Tensor
        Shape (2**n,), float64, on the CPU, in the order of the games. Bit i of the index is player i.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> game = bq.Game(
    ...     torch.nn.Linear(3, 2), torch.ones(3), bq.players.columns(), bq.baselines.zero(), bq.values.log_odds(0)
    ... )
    >>> [len(table) for table in bq.tables([game, game])]
    [8, 8]
    """
    how = how or Evaluation()
    runner: Runner | None = None
    started: deque[Request] = deque()
    n: int | None = None
    for game in games:
        if same_players and n is not None and game.n_players != n:
            raise BequeathError(
                f"games: {game.name} has {game.n_players} players, the first has {n}; evaluate them separately"
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
    """How much options of `Evaluation` change the values of a game, on random masks.

    Parameters
    ----------
    game : Game
        The game to try them on.
    masks : int
        Number of masks, at least 2; the full and the empty mask are always among them.
    seed : int
        Seed of the masks.
    **how
        Options of `Evaluation`, such as ``autocast="bfloat16"``. They are compared with a plain run: float32, no reuse,
        contiguous layout.

    Returns
    -------
    dict of str to float
        ``max`` and ``mean``: largest and mean |change of v|, in units of the value. ``relative``: ``max`` divided by
        |v(N) - v(0)| of the plain run. Lower is better.

    Raises
    ------
    BequeathError
        If there are fewer than 2 masks, or an option is unknown or out of range.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> game = bq.Game(
    ...     torch.nn.Linear(3, 2), torch.ones(3), bq.players.columns(), bq.baselines.zero(), bq.values.log_odds(0)
    ... )
    >>> bq.effect_on_values(game, masks=8, reuse=True)["max"]
    0.0
    """
    if masks < 2:
        raise BequeathError(f"masks: {masks}; give at least 2, for the full and the empty mask")
    n = game.n_players
    generator = torch.Generator().manual_seed(seed)
    shown = torch.rand(masks, n, generator=generator) < 0.5
    shown[0], shown[-1] = False, True
    plain = Evaluation(channels_last=False, reuse=False)
    usual, tried = (
        values(game.model, game.masked, game.value, shown, options, game.name)
        for options in (plain, Evaluation.of(how, "masks", "seed"))
    )
    change = (tried - usual).abs()
    scale = (usual[-1] - usual[0]).abs().clamp(min=1e-12)
    return {
        "max": change.max().item(),
        "mean": change.mean().item(),
        "relative": (change.max() / scale).item(),
    }
