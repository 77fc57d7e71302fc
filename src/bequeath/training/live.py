"""Interactions of a few samples, measured while the model is being trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games import values
from bequeath.games.evaluate import evaluate
from bequeath.games.game import Game
from bequeath.games.inputs import modes_kept
from bequeath.knowledge.dynamics import similarity
from bequeath.lattice.exact.decompose import decompose
from bequeath.lattice.subsets import orders, players_of


@dataclass
class Live:
    """Measures a few samples at each checkpoint; costs 2**n evaluations for each.

    Parameters
    ----------
    inputs : sequence of Tensor or str
        Samples as `Game` takes them: preprocessed images or rows, or texts.
    labels : sequence of int
        Their true classes.
    players, baseline
        As of `Game`.
    value : callable
        Label -> value function; log-odds of the true class by default.
    kind : {"and-or", "and", "or"}
        Decomposition.

    Examples
    --------
    >>> live = Live(images, labels, bq.players.grid(3, 3), bq.baselines.mean())
    >>> Checkpoints("runs/ft", live=live, log=lambda told, step: writer.add_scalars("bequeath", told, step))
    """

    inputs: Sequence[Any]
    labels: Sequence[int]
    players: Any
    baseline: Any
    value: Callable[[int], Callable[[Tensor], Tensor]] = values.log_odds
    kind: Literal["and-or", "and", "or"] = "and-or"
    _before: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.inputs or len(self.inputs) != len(self.labels):
            raise BequeathError(
                f"live: {len(self.inputs)} inputs and {len(self.labels)} labels; give one at least, with its label"
            )

    def measure(self, model: nn.Module) -> dict[str, float]:
        """Measure a model and leave it, and random numbers, as they were.

        Returns
        -------
        dict
            Means over the samples: ``value`` (of the whole sample), ``strength`` (sum of absolute effects),
            ``strength_order_K``, and ``similarity_to_last``: to the interactions at the measurement before (METHOD
            6, in [0, 1]; near 1: knowledge has settled), from the second one on.
        """
        devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices=devices), modes_kept(model):
            games = (
                Game(model, x, self.players, self.baseline, self.value(label), f"live sample {place}")
                for place, (x, label) in enumerate(zip(self.inputs, self.labels, strict=True))
            )
            tables = evaluate(games, channels_last=False)
        effects = decompose(tables, self.kind).values
        of = orders(players_of(tables))
        strength = effects.abs().sum(1).mean(0)
        told = {"value": tables[:, -1].mean().item(), "strength": strength.sum().item()}
        for order in range(1, int(of.max()) + 1):
            told[f"strength_order_{order}"] = strength[of == order].sum().item()
        if self._before is not None:
            told["similarity_to_last"] = similarity(effects, self._before, of)[:, 0].mean().item()
        self._before = effects
        return told
