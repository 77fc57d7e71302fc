"""Which players matter most to some models on one sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.inputs import in_eval_mode
from bequeath.games.players.family import Binds, Chosen, chosen
from bequeath.games.players.masked import MaskedInput, Rest
from bequeath.games.runner import Evaluation, values


def influences(model: nn.Module, masked: MaskedInput, value: Callable[[Tensor], Tensor]) -> Tensor:
    """How much each player matters when it is hidden alone: |v(N) - v(N without i)|, divided by their sum.

    Returns
    -------
    Tensor
        Shape (players,), float64.
    """
    n = len(masked.names)
    shown = torch.cat((torch.ones(1, n, dtype=torch.bool), ~torch.eye(n, dtype=torch.bool)))
    v = values(model, masked, value, shown, Evaluation(reuse=False), "influence")
    change = (v[0] - v[1:]).abs()
    return change / change.sum().clamp(min=1e-300)


def strongest(influence: Tensor, k: int) -> list[int]:
    """The k players of the greatest influence (players,), in ascending order; the first ones where equal."""
    return sorted(influence.argsort(descending=True, stable=True)[:k].tolist())


def most_influential(
    players: Binds,
    k: int,
    models: Sequence[nn.Module],
    x: Any,
    baseline: Baseline,
    value: Callable[[Tensor], Tensor],
    rest: Rest = "shown",
) -> Chosen:
    """The k players that matter most on one sample, to all of some models alike: the same game for each of them.

    Parameters
    ----------
    players
        Any kind; of any number of players.
    k : int
        How many are kept, in their old order.
    models : sequence of nn.Module
        Those that are to be compared on the sample.
    x, baseline, value
        As for `Game`.
    rest : "shown" or "hidden"
        What the parts of all other players always are.

    Raises
    ------
    BequeathError
        If there are fewer players than k, or no models.

    Examples
    --------
    >>> some = bq.most_influential(bq.players.grid(8, 8), 10, [a, b], image, bq.baselines.mean(), value)
    >>> tables = bq.evaluate(bq.Game(m, image, some, bq.baselines.mean(), value) for m in (a, b))
    """
    # Shares of each model's own sum: no model speaks louder than another.
    bound = [(model, players.bind(x, baseline, in_eval_mode(model))) for model in models]
    n = len(bound[0][1].names) if bound else 0
    if not 1 <= k <= n:
        raise BequeathError(
            f"most_influential: k = {k} of {n} players, {len(bound)} models; give a model at least, and k from 1 to {n}"
        )
    mean = torch.stack([influences(model, masked, value) for model, masked in bound]).mean(0)
    return chosen(players, strongest(mean, k), rest)
