"""From games to interactions in one call: masks drawn, values evaluated, terms fitted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from bequeath.bars import Tick, ticking
from bequeath.errors import BequeathError
from bequeath.games.game import Game
from bequeath.games.runner import Evaluation, Request, Runner
from bequeath.lattice.given import whole
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.fit import Kind, fit
from bequeath.lattice.sparse.growth import Look, next_number, why_enough
from bequeath.lattice.sparse.masks import Design, draw_masks

logger = logging.getLogger(__name__)


def explain(
    games: Game | Iterable[Game],
    masks: int | Literal["auto"] = 512,
    order: int | None = None,
    seed: int = 0,
    *,
    design: Design = "uniform",
    shown: float | None = None,
    kind: Kind = "and-or",
    resamples: int = 10,
    progress: bool | Tick = False,
    **how: Any,
) -> Interactions:
    """AND and OR interactions of one game or several, from values on sampled masks.

    All games see the same masks: those of samples and of models can be compared. Games of one model share batches; give
    such games one after the other.

    Parameters
    ----------
    games : Game or iterable of Game
        All with equally many players.
    masks : int or "auto"
        How many are evaluated for each game; all 2**n where there are no more. ``"auto"``: 128, then twice as many
        until two doublings do not improve held-out R2 or the terms' errors, 2,048 at most; the log says why it stopped.
    order : int, optional
        Terms of up to so many players; by default as in `fit`.
    seed : int
        Of the draw and of the fit's folds.
    design, shown
        As in `draw_masks`.
    kind, resamples
        As in `fit`.
    progress : bool or callable
        Show a bar; or a function that is called with 1 after each game's evaluation.
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
    seed = whole(seed, "seed", 0)
    several = [games] if isinstance(games, Game) else list(games)
    _check(several, masks)
    n = several[0].n_players
    options = Evaluation(**how)
    values = torch.empty(len(several), 0, dtype=torch.float64)
    looks: list[Look] = []
    while True:
        number = next_number(looks, n) if masks == "auto" else masks
        drawn = draw_masks(n, number, design, shown=shown, seed=seed)
        with ticking(progress, f"{len(drawn)} masks of each game", len(several)) as tick:
            more = _values(several, drawn[values.shape[1] :], options, tick)
        values = torch.cat((values, more), 1)
        found = fit(
            drawn,
            values[0] if isinstance(games, Game) else values,
            order,
            kind=kind,
            players=several[0].player_names,
            resamples=resamples,
            seed=seed,
        )
        if masks != "auto":
            return found
        looks.append(Look.at(len(drawn), [found]))
        reason = why_enough(looks, n)
        if reason is not None:
            logger.info("%d masks: %s", len(drawn), reason)
            return found


def _check(games: Sequence[Game], masks: int | str) -> None:
    if not games:
        raise BequeathError("games: none given")
    if isinstance(masks, str) and masks != "auto":
        raise BequeathError(f'masks: {masks!r}; give a number, or "auto"')
    for game in games:
        if not isinstance(game, Game):
            raise BequeathError(f"games: a {type(game).__name__} among them; give bequeath.Game")
        if game.n_players != games[0].n_players:
            raise BequeathError(
                f"games: {game.name} has {game.n_players} players, the first has {games[0].n_players}; explain them "
                "apart"
            )


def _values(games: Sequence[Game], shown: Tensor, how: Evaluation, tick: Tick) -> Tensor:
    """Values of all games on the same masks: (games, masks)."""
    requests: list[Request] = []
    runner: Runner | None = None
    for game in games:
        if runner is None or runner.model is not game.model:
            if runner is not None:
                runner.flush()
            runner = Runner(game.model, how)
        requests.append(game.start(runner, shown))
        tick(1)
    if runner is not None:
        runner.flush()
    return torch.stack([request.out for request in requests])
