"""From games to interactions in one call: draw masks, evaluate values, fit terms."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from bequeath.bars import Tick, ticking
from bequeath.errors import BequeathError
from bequeath.games.game import Game
from bequeath.games.options import Evaluation
from bequeath.games.runner import Request, Runner
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
    """AND and OR interactions of one or several games, from values on sampled masks.

    All games are evaluated on the same masks, so that samples and models can be compared. Games of one model share
    batches, so give games of one model one after the other. Source: docs/method.md, section "Sparse reading".

    Parameters
    ----------
    games : Game or iterable of Game
        All with equally many players.
    masks : int or "auto"
        Number of masks for each game; at most 2**n are used. ``"auto"``: start with 128 and double the number until two
        doublings improve neither held-out R2 nor the errors of the terms, up to 2,048. The log says why it stopped.
    order : int, optional
        Largest number of players in a term; by default as in `fit`.
    seed : int
        Seed of the masks and of the folds of the fit.
    design, shown
        As in `draw_masks`.
    kind, resamples
        As in `fit`.
    progress : bool or callable
        Whether to show a bar; or a function that is called with 1 after the evaluation of each game.
    **how
        How models are run, as in `evaluate`: ``batch_size``, ``device``, ``memory``, ``autocast``, and so on.

    Returns
    -------
    Interactions
        In units of the value function; shape () for one game, (games,) for several.

    Raises
    ------
    BequeathError
        As `draw_masks`, `evaluate` and `fit`; or if the games differ in their number of players.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> class Product(torch.nn.Module):  # its log-odds are 3 x0 x1
    ...     def forward(self, x):
    ...         return torch.stack((3 * x[:, 0] * x[:, 1], torch.zeros(len(x))), 1)
    >>> players = bq.players.columns([f"x{i}" for i in range(6)])
    >>> game = bq.Game(Product(), torch.ones(6), players, bq.baselines.zero(), bq.values.log_odds(0))
    >>> interactions = bq.explain(game, masks=64, order=2)
    >>> [(term.type, term.name, round(term.value, 2)) for term in interactions.top(1)]
    [('and', '{x0, x1}', 3.0)]
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
        interactions = fit(
            drawn,
            values[0] if isinstance(games, Game) else values,
            order,
            kind=kind,
            players=several[0].player_names,
            resamples=resamples,
            seed=seed,
        )
        if masks != "auto":
            return interactions
        looks.append(Look.at(len(drawn), [interactions]))
        reason = why_enough(looks, n)
        if reason is not None:
            logger.info("%d masks: %s", len(drawn), reason)
            return interactions


def _check(games: Sequence[Game], masks: int | str) -> None:
    if not games:
        raise BequeathError("games: none given; give at least one")
    if isinstance(masks, str) and masks != "auto":
        raise BequeathError(f'masks: {masks!r}; give a number, or "auto"')
    for game in games:
        if not isinstance(game, Game):
            raise BequeathError(f"games: a {type(game).__name__} among them; give bequeath.Game")
        if game.n_players != games[0].n_players:
            raise BequeathError(
                f"games: {game.name} has {game.n_players} players, the first has {games[0].n_players}; explain them "
                "separately"
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
