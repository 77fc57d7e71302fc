"""The game of one classifier on one sample."""

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
from bequeath.games.options import Evaluation
from bequeath.games.players.family import Binds
from bequeath.games.players.masked import MaskedInput
from bequeath.games.runner import Request, Runner, values
from bequeath.lattice.given import finite, flags, numbers, plain_tensor
from bequeath.lattice.subsets import check_players, masks

# Number of masks that are made at once.
_BLOCK = 2**16


class Game:
    """A cooperative game: a number read from a model's output on one sample, as a function of the players shown.

    Source: docs/method.md, section "Game".

    Parameters
    ----------
    model : nn.Module
        A classifier. For a batch it returns logits (batch, classes), as a tensor or as ``.logits``. It is put into eval
        mode.
    x : Tensor, array or str
        The sample: an image (channels, height, width) or a row (columns,) as the model takes it, or a text.
    players
        The parts of the sample that are shown or hidden (`bequeath.players`).
    baseline
        What replaces hidden players (`bequeath.baselines`).
    value : callable
        Value function, from logits (batch, classes) to one number per row (`bequeath.values`).
    name : str
        Name of the sample in errors.

    Raises
    ------
    BequeathError
        If sample, players, baseline and model do not fit each other.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 6 * 6, 10))
    >>> image = torch.zeros(3, 6, 6)
    >>> game = bq.Game(model, image, bq.players.grid(3, 3), bq.baselines.mean(), bq.values.log_odds(5))
    >>> game.n_players, game.table().shape
    (9, torch.Size([512]))
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
                f"{name}: players {type(players).__name__}: bind returns a {type(self.masked).__name__}; return a "
                "MaskedInput, such as bequeath.players.MaskedTensor"
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
        """Values (coalitions,) of coalitions, bool (coalitions, players); so it can be used as a shapiq game."""
        array = flags(coalitions, "coalitions")
        array = array[None] if array.ndim == 1 else array
        if array.ndim != 2 or array.shape[1] != self.n_players:
            raise BequeathError(
                f"coalitions: {array.shape[-1]} columns for {self.n_players} players; give one column for each"
            )
        return self.values(array).numpy()

    def values(self, shown: Tensor, batch_size: int | None = None) -> Tensor:
        """Values of some masks. `bequeath.evaluate` takes more options, and many games at once.

        Parameters
        ----------
        shown : Tensor
            Masks, bool (masks, players), True where a player is shown.
        batch_size : int, optional
            Masked inputs in one forward pass; by default the fastest size that fits.

        Returns
        -------
        Tensor
            (masks,), float64, on the CPU, in units of the value function.

        Raises
        ------
        BequeathError
            If masks have another shape, or the model gives NaN or infinity; the message names sample and mask.
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
        """The value table: values of all 2**n masks, float64, shape (2**n,). Bit i of the index is player i.

        Raises
        ------
        BequeathError
            If there are too many players for an exact table; `bequeath.explain` reads such games.
        """
        runner = Runner(self.model, Evaluation(batch_size))
        request = self.start(runner)
        runner.flush()
        return request.out

    def start(self, runner: Runner, shown: Tensor | None = None) -> Request:
        """Give masks of this game to a runner, which evaluates them with other games of the model.

        Parameters
        ----------
        runner : Runner
            Of the same model.
        shown : Tensor, optional
            Masks, bool (masks, players); by default all 2**n, in the order of a value table.

        Returns
        -------
        Request
            Its `out` holds the values as soon as its `left` is 0.
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
    """A sample as players take it: arrays and lists of numbers become tensors of the default dtype; texts stay."""
    if isinstance(x, Tensor):
        return (
            x
            if x.layout == torch.strided and not x.is_floating_point()
            else finite(plain_tensor(x, name), name)
        )
    if isinstance(x, (np.ndarray, list, tuple)):
        return finite(numbers(x, name).to(torch.get_default_dtype()), name)
    return x
