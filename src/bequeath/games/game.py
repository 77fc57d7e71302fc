"""One classifier, one sample: a cooperative game."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.inputs import in_eval_mode
from bequeath.games.players.family import Binds
from bequeath.games.players.masked import MaskedInput
from bequeath.games.runner import Evaluation, Request, Runner, values
from bequeath.lattice.given import finite, flags, numbers, plain_tensor
from bequeath.lattice.subsets import check_players, masks

# Masks are made in blocks, never all 2**n at once for large n.
_BLOCK = 2**16


class Game:
    """A model's output on one sample as a function of the players that are shown.

    Parameters
    ----------
    model : nn.Module
        A classifier; called on a batch it gives logits (batch, classes), plain or as ``.logits``. Put into eval mode.
    x : Tensor or str
        The sample: an image (channels, height, width) or a row (columns,) as the model wants it, or a text.
    players, baseline, value
        What is hidden, what takes its place, and what is read off the logits (`bequeath.players`,
        `bequeath.baselines`, `bequeath.values`).
    name : str
        Named in errors.

    Raises
    ------
    BequeathError
        If sample, players, baseline and model do not fit each other.

    Examples
    --------
    >>> game = bq.Game(model, image, bq.players.grid(3, 3), bq.baselines.mean(), bq.values.log_odds(5))
    >>> game.table().shape
    torch.Size([512])
    """

    def __init__(
        self,
        model: nn.Module,
        x: Any,
        players: Binds,
        baseline: Baseline,
        value: Callable[[Tensor], Tensor],
        name: str = "sample",
    ) -> None:
        self.model = in_eval_mode(model)
        self.value = value
        self.name = name
        self.masked = players.bind(_input(x, name), baseline, model)
        if not isinstance(self.masked, MaskedInput):
            raise BequeathError(
                f"{name}: players {type(players).__name__}: bind gives a {type(self.masked).__name__}; it must return "
                "a MaskedInput, such as bequeath.players.MaskedTensor"
            )

    def __repr__(self) -> str:
        model = type(self.model).__name__
        return f"Game({self.name!r}: {model}, {self.n_players} players, {self.value})"

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.masked.names)

    @property
    def player_names(self) -> tuple[str, ...]:
        """Names of the players, for `decompose(..., players=game.player_names)`."""
        return self.masked.names

    def __call__(self, coalitions: ArrayLike) -> NDArray[np.float64]:
        """v of each coalition, bool of shape (coalitions, players) -> (coalitions,): usable as a shapiq game."""
        array = flags(coalitions, "coalitions")
        array = array[None] if array.ndim == 1 else array
        if array.ndim != 2 or array.shape[1] != self.n_players:
            raise BequeathError(f"coalitions: {array.shape[-1]} columns for {self.n_players} players")
        return self.values(array).numpy()

    def values(self, shown: Tensor, batch_size: int | None = None) -> Tensor:
        """v for masks of shape (masks, players), bool -> (masks,) float64 on the CPU.

        `bequeath.evaluate` takes more options, and many games at once.

        Raises
        ------
        BequeathError
            If masks have another shape, or the model gives NaN or infinity, naming sample and mask.
        """
        shown = plain_tensor(shown, "masks")
        if shown.ndim == 2 and shown.shape[1] == self.n_players:
            shown = flags(shown, "masks")
        if shown.ndim != 2 or shown.shape[1] != self.n_players or shown.dtype != torch.bool:
            raise BequeathError(
                f"masks: {shown.dtype} {tuple(shown.shape)}; give bool (masks, {self.n_players}), True where a player "
                "is shown"
            )
        return values(self.model, self.masked, self.value, shown, Evaluation(batch_size), self.name)

    def table(self, batch_size: int | None = None) -> Tensor:
        """The value table: float64, shape (2**n,), index = bitmask, bit i set where player i is shown.

        Raises
        ------
        BequeathError
            If there are more players than an exact table can have; `bequeath.explain` reads such games.
        """
        runner = Runner(self.model, Evaluation(batch_size))
        request = self.start(runner)
        runner.flush()
        return request.out

    def start(self, runner: Runner, shown: Tensor | None = None) -> Request:
        """Give a runner masks of this game: its request's `out` are their values once nothing is `left`.

        Parameters
        ----------
        runner : Runner
        shown : Tensor, optional
            The masks, bool (masks, players); by default all 2**n, in the order of a value table.
        """
        n = self.n_players
        if shown is not None:
            request = runner.request(self.name, self.masked, self.value, len(shown))
            runner.add(request, torch.arange(len(shown)), shown.to(runner.device))
            return request
        check_players(n)
        request = runner.request(self.name, self.masked, self.value, 2**n)
        for first in range(0, 2**n, _BLOCK):
            subsets = torch.arange(first, min(first + _BLOCK, 2**n))
            runner.add(request, subsets, masks(n, first, first + len(subsets), runner.device))
        return request


def _input(x: Any, name: str) -> Any:
    """A sample as players bind it: arrays and lists of numbers become tensors of the usual kind; texts stay."""
    if isinstance(x, Tensor):
        return (
            x
            if x.layout == torch.strided and not x.is_floating_point()
            else finite(plain_tensor(x, name), name)
        )
    if isinstance(x, (np.ndarray, list, tuple)):
        return finite(numbers(x, name).to(torch.get_default_dtype()), name)
    return x
