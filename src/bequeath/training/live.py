"""Measures the interactions of a few samples while the model is being trained."""

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
    """Measures the interactions of a few samples at each checkpoint. Each sample costs 2**n evaluations.

    Parameters
    ----------
    inputs : sequence of Tensor or str
        Samples as `Game` takes them: preprocessed images or rows, or texts.
    labels : sequence of int
        Their true classes.
    players, baseline
        As for `Game`; n is the number of players.
    value : callable
        Label -> value function; by default the log-odds of the true class.
    kind : {"and-or", "and", "or"}
        Decomposition.

    Raises
    ------
    BequeathError
        If there are no inputs, or not one label for each.

    Examples
    --------
    >>> live = Live(images, labels, bq.players.grid(3, 3), bq.baselines.mean())
    >>> Checkpoints("runs/ft", live=live, log=lambda measures, step: writer.add_scalars("bequeath", measures, step))
    """

    inputs: Sequence[Any]
    labels: Sequence[int]
    players: Any
    baseline: Any
    value: Callable[[int], Callable[[Tensor], Tensor]] = values.log_odds
    kind: Literal["and-or", "and", "or"] = "and-or"
    _previous: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.inputs or len(self.inputs) != len(self.labels):
            raise BequeathError(
                f"live: {len(self.inputs)} inputs and {len(self.labels)} labels; give at least one input, and "
                "one label for each"
            )

    def measure(self, model: nn.Module) -> dict[str, float]:
        """Measure a model. Its mode and all random numbers are restored afterwards.

        Returns
        -------
        dict of str to float
            Means over the samples, in units of the value function: ``value`` (of the whole sample), ``strength`` (sum
            of absolute effects) and ``strength_order_K``. From the second measurement on also ``similarity_to_last``:
            the similarity to the interactions of the previous measurement, in [0, 1] (docs/method.md, section
            "Measures with a zero and a one"). Near 1, knowledge has settled.
        """
        devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices=devices), modes_kept(model):
            games = (
                Game(model, x, self.players, self.baseline, self.value(label), f"live sample {place}")
                for place, (x, label) in enumerate(zip(self.inputs, self.labels, strict=True))
            )
            tables = evaluate(games, channels_last=False)
        effects = decompose(tables, self.kind).values
        order_of = orders(players_of(tables))
        strength = effects.abs().sum(1).mean(0)
        measures = {"value": tables[:, -1].mean().item(), "strength": strength.sum().item()}
        for order in range(1, int(order_of.max()) + 1):
            measures[f"strength_order_{order}"] = strength[order_of == order].sum().item()
        if self._previous is not None:
            measures["similarity_to_last"] = similarity(effects, self._previous, order_of)[:, 0].mean().item()
        self._previous = effects
        return measures
