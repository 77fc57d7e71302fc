"""Designs: how masks of n players are sampled."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.given import whole
from bequeath.lattice.listed import MOST_PLAYERS
from bequeath.lattice.memory import check_fits

Design = Literal["uniform", "size", "mostly", "paired"]

_SHOWN = {"uniform": 0.5, "mostly": 0.75, "paired": 0.5}
# Blocks in a row without a new mask before drawing stops.
_PATIENCE = 64
# Bytes of one mask while masks are drawn, in addition to one byte for each player.
_BYTES = 300


def draw_masks(
    n: int, masks: int = 512, design: Design = "uniform", *, shown: float | None = None, seed: int = 0
) -> Tensor:
    """Different masks of n players: the empty mask, the full mask, then random ones.

    The first masks do not depend on the number of masks, so a larger number extends a smaller one. If there are at most
    `masks` different masks, all 2**n are returned.

    Parameters
    ----------
    n : int
        Number of players, 1 to 256.
    masks : int
        Number of masks, at least 2.
    design : {"uniform", "size", "mostly", "paired"}
        ``"uniform"``: each player is shown with probability `shown`, by default 0.5. ``"mostly"``: the same with 0.75.
        ``"size"``: each number of shown players from 1 to n - 1 is equally likely. ``"paired"``: uniform, and every
        second mask is the complement of the one before it.
    shown : float, optional
        Probability that a player is shown, between 0 and 1; not for ``"size"``.
    seed : int
        Seed of the random masks.

    Returns
    -------
    Tensor
        bool, shape (masks, n), True where a player is shown; shape (2**n, n) if 2**n <= `masks`.

    Raises
    ------
    BequeathError
        If an argument is out of range, or the design gives too few different masks.

    Examples
    --------
    >>> import bequeath as bq
    >>> masks = bq.draw_masks(10, 100)
    >>> masks.shape, masks[0].any().item(), masks[1].all().item()
    (torch.Size([100, 10]), False, True)
    """
    n, masks, seed = _check(n, masks, design, shown), whole(masks, "masks", 0), whole(seed, "seed", 0)
    wanted = min(masks, 2**n) if n < 63 else masks
    generator = np.random.default_rng(seed)
    kept: dict[bytes, NDArray[np.bool_]] = {}
    for mask in (np.zeros(n, bool), np.ones(n, bool)):
        kept[mask.tobytes()] = mask
    idle = 0
    while len(kept) < wanted and idle < _PATIENCE:
        before = len(kept)
        for mask in _block(generator, n, design, shown):
            if len(kept) < wanted:
                kept.setdefault(mask.tobytes(), mask)
        idle = idle + 1 if len(kept) == before else 0
    if len(kept) < wanted and wanted == 2**n:
        # All masks are wanted, but some are too rare to be drawn.
        for index in range(2**n):
            mask = np.array([index >> i & 1 for i in range(n)], bool)
            kept.setdefault(mask.tobytes(), mask)
    if len(kept) < wanted:
        raise BequeathError(
            f"masks: the design {design!r} gives only {len(kept)} different masks of {n} players instead of {wanted}; "
            "give a smaller number, or a `shown` closer to 0.5"
        )
    return torch.from_numpy(np.stack(list(kept.values())))


def _check(n: int, masks: int, design: str, shown: float | None) -> int:
    """Check the arguments of `draw_masks`; returns the number of players."""
    n = whole(n, "players", 0)
    if not 1 <= n <= MOST_PLAYERS:
        raise BequeathError(f"players: {n} given; sparse readings take 1 to {MOST_PLAYERS}")
    if whole(masks, "masks", 0) < 2:
        raise BequeathError(f"masks: {masks}; give at least 2, for the empty and the full mask")
    if design not in get_args(Design):
        raise BequeathError(f"design: {design!r}; give one of {', '.join(get_args(Design))}")
    if shown is not None and (design == "size" or not 0 < shown < 1):
        raise BequeathError(
            f"shown: {shown} for the design {design!r}; give a probability between 0 and 1, and none for 'size'"
        )
    wanted = min(masks, 2**n) if n < 63 else masks
    check_fits(wanted * (_BYTES + n), torch.device("cpu"), f"{wanted:,} masks")
    return n


def _block(generator: np.random.Generator, n: int, design: str, shown: float | None) -> NDArray[np.bool_]:
    """The next 64 masks of the random stream."""
    u = generator.random((64, n + 1))
    if design == "size":
        sizes = 1 + np.floor(u[:, 0] * max(n - 1, 1)).astype(int)
        ranks = u[:, 1:].argsort(axis=1).argsort(axis=1)
        return np.asarray(ranks < sizes[:, None])
    masks = np.asarray(u[:, 1:] < (_SHOWN[design] if shown is None else shown))
    if design == "paired":
        masks[1::2] = ~masks[::2]
    return masks
