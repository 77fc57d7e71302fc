"""From games to interactions in one call: masks drawn, values evaluated, terms fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from bequeath.errors import BequeathError
from bequeath.games.game import Game
from bequeath.games.runner import Evaluation, Request, Runner
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.fit import Kind, fit
from bequeath.lattice.sparse.masks import Design, draw_masks

# Terms of one player more where the players are few (docs/sparse.md).
_FEW_PLAYERS, _ORDER_OF_FEW, _ORDER = 12, 4, 3


def explain(
    games: Game | Iterable[Game],
    masks: int = 512,
    order: int | None = None,
    seed: int = 0,
    *,
    design: Design = "uniform",
    shown: float | None = None,
    kind: Kind = "and-or",
    resamples: int = 10,
    progress: Callable[[int], None] | None = None,
    **how: Any,
) -> Interactions:
    """AND and OR interactions of one game or several, from values on sampled masks.

    All games see the same masks: those of samples and of models can be compared. Games of one model share batches; give
    such games one after the other.

    Parameters
    ----------
    games : Game or iterable of Game
        All with equally many players.
    masks : int
        How many are evaluated for each game; all 2**n where there are no more.
    order : int, optional
        Terms of up to so many players; by default 3, and 4 for up to 12 players.
    seed : int
        Of the draw and of the fit's folds.
    design, shown
        As in `draw_masks`.
    kind, resamples
        As in `fit`.
    progress : callable, optional
        Called with 1 after each game's evaluation.
    **how
        How models are run, as in `evaluate`: ``batch_size``, ``device``, ``memory``, ``autocast``, and so on.

    Returns
    -------
    Interactions
        Of shape () for one game, (games,) for several.

    Raises
    ------
    BequeathError
        As `draw_masks`, `evaluate` and `fit`; or if the games differ in their number of players.

    Examples
    --------
    >>> found = bq.explain(game, masks=256)
    >>> found.r2, found.top(5)
    """
    single = isinstance(games, Game)
    several = [games] if isinstance(games, Game) else list(games)
    if not several:
        raise BequeathError("games: none given")
    n = several[0].n_players
    for game in several:
        if game.n_players != n:
            raise BequeathError(
                f"games: {game.name} has {game.n_players} players, the first has {n}; explain them apart"
            )
    drawn = draw_masks(n, masks, design, shown=shown, seed=seed)
    options = Evaluation(**how)
    requests: list[Request] = []
    runner: Runner | None = None
    for game in several:
        if runner is None or runner.model is not game.model:
            if runner is not None:
                runner.flush()
            runner = Runner(game.model, options)
        request = runner.request(game.name, game.masked, game.value, len(drawn))
        runner.add(request, torch.arange(len(drawn)), drawn.to(runner.device))
        requests.append(request)
        if progress is not None:
            progress(1)
    if runner is not None:
        runner.flush()
    values = torch.stack([request.out for request in requests])
    if order is None:
        order = min(n, _ORDER_OF_FEW if n <= _FEW_PLAYERS else _ORDER)
    return fit(
        drawn,
        values[0] if single else values,
        order,
        kind=kind,
        players=several[0].player_names,
        resamples=resamples,
        seed=seed,
    )
