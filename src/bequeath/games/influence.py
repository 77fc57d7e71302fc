"""Which players have the most influence on some models, on one sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.inputs import in_eval_mode
from bequeath.games.options import Evaluation
from bequeath.games.players.family import Binds, Chosen, chosen
from bequeath.games.players.masked import MaskedInput, Rest
from bequeath.games.runner import values


def influences(model: nn.Module, masked: MaskedInput, value: Callable[[Tensor], Tensor]) -> Tensor:
    """Influence of each player: |v(N) - v(N without i)|, divided by the sum over all players.

    Returns
    -------
    Tensor
        Shape (players,), float64, sum 1 (or 0 if no player has any influence).
    """
    n = len(masked.names)
    shown = torch.cat((torch.ones(1, n, dtype=torch.bool), ~torch.eye(n, dtype=torch.bool)))
    v = values(model, masked, value, shown, Evaluation(reuse=False), "influence")
    change = (v[0] - v[1:]).abs()
    return change / change.sum().clamp(min=1e-300)


def strongest(influence: Tensor, k: int) -> list[int]:
    """The k players with the largest influence (players,), in ascending order; of equal ones the first."""
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
    """The k players with the largest mean influence on some models, on one sample.

    The influence of player i on a model is |v(N) - v(N without i)|, divided by the sum over all players. All models get
    the same players, so that their games can be compared.

    Parameters
    ----------
    players
        Players of any kind and number.
    k : int
        Number of players that are kept, in their old order.
    models : sequence of nn.Module
        The models to compare on the sample.
    x, baseline, value
        As for `Game`.
    rest : "shown" or "hidden"
        Whether the parts of all other players are always shown or always hidden.

    Returns
    -------
    Chosen
        The selected players, to be used in a `Game`.

    Raises
    ------
    BequeathError
        If there are fewer players than k, or no models.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> model = torch.nn.Linear(4, 2)
    >>> _ = model.weight.data.copy_(torch.tensor([[0.0, 5.0, 0.1, 3.0], [0.0, 0.0, 0.0, 0.0]]))
    >>> x, baseline, value = torch.ones(4), bq.baselines.zero(), bq.values.log_odds(0)
    >>> players = bq.most_influential(bq.players.columns(), 2, [model], x, baseline, value)
    >>> bq.Game(model, x, players, baseline, value).player_names
    ('column 1', 'column 3')
    """
    # Each model's influences have sum 1, so all models count equally.
    bound = [(model, players.bind(x, baseline, in_eval_mode(model))) for model in models]
    n = len(bound[0][1].names) if bound else 0
    if not 1 <= k <= n:
        raise BequeathError(
            f"most_influential: k = {k} of {n} players, {len(bound)} models; give at least one model, and k from 1 to "
            f"{n}"
        )
    mean = torch.stack([influences(model, masked, value) for model, masked in bound]).mean(0)
    return chosen(players, strongest(mean, k), rest)
