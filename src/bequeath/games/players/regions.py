"""Given regions of an image as players."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.players.family import Players
from bequeath.games.players.image import checked, masked
from bequeath.games.players.masked import HIDDEN, SHOWN, MaskedTensor, Rest
from bequeath.lattice.given import plain_tensor
from bequeath.printable import one_line


# eq=False: comparing two tensors gives a tensor, so a generated __eq__ could only fail.
@dataclass(frozen=True, eq=False)
class Regions(Players):
    """Given regions of an image, the same in every sample. `regions` makes it.

    Attributes
    ----------
    owner : Tensor
        int64, (height, width): the player of each pixel; -2 if it is always shown, -1 if it is always hidden.
    given : tuple of str
        Names of the regions.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.players.Regions(torch.tensor([[0, 0], [1, -2]]), ("sky", "ground")).n_players
    2
    """

    fusable = True
    owner: Tensor
    given: tuple[str, ...]

    __repr__ = one_line

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.given)

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Names of the regions."""
        return self.given

    def label_map(self, x: Any) -> NDArray[np.int64]:
        """The region of each pixel, negative for none: (height, width)."""
        return self.owner.numpy()

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTensor:
        """Bind the regions of the image x, shape (channels, height, width), with height and width of the masks."""
        x = checked(x, "regions")
        if x.shape[1:] != self.owner.shape:
            raise BequeathError(
                f"players regions: masks of {tuple(self.owner.shape)} pixels on an image of "
                f"{tuple(x.shape[1:])}; resize the masks"
            )
        return masked(x, self.owner, self.given, baseline)

    def __str__(self) -> str:
        return f"{self.n_players} given regions"


def regions(masks: Any, names: Sequence[str] | None = None, rest: Rest = "shown") -> Regions:
    """Players are given regions of the image.

    Parameters
    ----------
    masks : array or Tensor
        Either bool, (regions, height, width), without overlap; or an integer label map (height, width) with regions
        0, 1, ... and negative numbers for pixels in no region.
    names : sequence of str, optional
        One name for each region; by default ``region 1``, ...
    rest : "shown" or "hidden"
        Whether pixels in no region are always shown or always hidden.

    Returns
    -------
    Regions

    Raises
    ------
    BequeathError
        If masks overlap, are empty, or have another shape.

    Examples
    --------
    >>> import bequeath as bq
    >>> players = bq.players.regions([[0, 0, 1], [0, -1, 1]], names=["cat", "dog"])
    >>> players.names(), players.label_map(None).tolist()
    (('cat', 'dog'), [[0, 0, 1], [0, -2, 1]])
    """
    if rest not in ("shown", "hidden"):
        raise BequeathError(f'players regions: rest {rest!r}; give "shown" or "hidden"')
    array = plain_tensor(masks, "players regions")
    if array.ndim > 1 and not array.numel():
        raise BequeathError(
            f"players regions: masks {tuple(array.shape)} are empty; give at least one region"
        )
    if array.ndim == 3 and array.dtype == torch.bool:
        overlap = int((array.sum(0) > 1).sum())
        if overlap:
            raise BequeathError(
                f"players regions: {overlap} pixels lie in more than one mask; give each pixel to one"
            )
        labels = torch.where(array.any(0), array.long().argmax(0), SHOWN)
        n = len(array)
    elif array.ndim == 2 and not array.is_floating_point() and array.dtype != torch.bool:
        labels = array.long()
        n = int(labels.max()) + 1
    else:
        raise BequeathError(
            f"players regions: masks {array.dtype} {tuple(array.shape)}; give bool (regions, height, width), or an "
            "integer label map (height, width)"
        )
    empty = sorted(set(range(n)) - set(labels.flatten().tolist()))
    if n < 1:
        raise BequeathError("players regions: no pixel lies in a region; give regions 0, 1, ...")
    if empty:
        raise BequeathError(f"players regions: region {empty[0]} has no pixel; remove it")
    labels = torch.where(labels < 0, SHOWN if rest == "shown" else HIDDEN, labels)
    given = tuple(names) if names is not None else tuple(f"region {i + 1}" for i in range(n))
    if len(given) != n:
        raise BequeathError(f"players regions: {len(given)} names for {n} regions; give one for each region")
    return Regions(labels, given)
