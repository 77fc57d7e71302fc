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
from bequeath.games.inputs import logits
from bequeath.games.players import Players
from bequeath.lattice.subsets import check_players, masks


class Game:
    """A model's output on one sample as a function of the players that are shown.

    Parameters
    ----------
    model : nn.Module
        A classifier; called on a batch it gives logits (batch, classes), plain or as ``.logits``. Put into eval mode.
    x : Tensor or str
        The sample: an image (channels, height, width) as the model wants it, or a text.
    players, baseline, value
        What is hidden, what takes its place, and what is read off the logits (`bequeath.players`,
        `bequeath.baselines`, `bequeath.values`).
    name : str
        Named in errors.

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
        players: Players,
        baseline: Baseline,
        value: Callable[[Tensor], Tensor],
        name: str = "sample",
    ) -> None:
        self.model = model.eval()
        self.value = value
        self.name = name
        self.masked = players.bind(x, baseline, model)

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
        array = torch.as_tensor(np.atleast_2d(np.asarray(coalitions, dtype=bool)))
        if array.shape[1] != self.n_players:
            raise BequeathError(f"coalitions: {array.shape[1]} columns for {self.n_players} players")
        return self.values(array).numpy()

    def values(self, shown: Tensor, batch_size: int = 128) -> Tensor:
        """v for masks of shape (masks, players), bool -> (masks,) float64 on the CPU.

        Raises
        ------
        BequeathError
            If the model gives NaN or infinity, naming sample and mask.
        """
        out = []
        with torch.inference_mode():
            for block in torch.split(shown, batch_size):
                output = logits(self.model, self.masked.inputs(block))
                values = self.value(output).to("cpu", torch.float64)
                bad = ~torch.isfinite(values)
                if bad.any():
                    row = int(bad.nonzero()[0])
                    mask = "".join("1" if kept else "0" for kept in block[row].tolist())
                    raise BequeathError(
                        f"{self.name}: the model's value is {values[row].item()} on mask {mask} "
                        f"(1 = player shown, player 0 first)"
                    )
                out.append(values)
        return torch.cat(out)

    def table(self, batch_size: int = 128) -> Tensor:
        """The value table: float64, shape (2**n,), index = bitmask, bit i set where player i is shown."""
        n = self.n_players
        check_players(n)
        step = max(batch_size, 2**16)  # masks are made in blocks, never all 2**n at once for large n
        blocks = [masks(n, first, min(first + step, 2**n)) for first in range(0, 2**n, step)]
        return torch.cat([self.values(block, batch_size) for block in blocks])
