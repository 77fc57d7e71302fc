"""Designs: which masks of n players are evaluated when not all 2**n are."""

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
# Draws in a row that bring no new mask before the search for more is given up.
_PATIENCE = 64
# Beside its players, what a mask takes while masks are drawn.
_BYTES = 300


def draw_masks(
    n: int, masks: int = 512, design: Design = "uniform", *, shown: float | None = None, seed: int = 0
) -> Tensor:
    """Different masks of n players: the empty one, the full one, then random ones.

    The first masks do not depend on how many follow: more masks extend the earlier ones. Where 2**n masks fit in the
    number asked for, they are all there.

    Parameters
    ----------
    n : int
        Players, 1 to 256.
    masks : int
        How many, at least 2.
    design : {"uniform", "size", "mostly", "paired"}
        ``"uniform"``: every player is shown with probability `shown`, 0.5 by default. ``"mostly"``: the same with 0.75.
        ``"size"``: every number of shown players from 1 to n - 1 is equally likely. ``"paired"``: uniform, and every
        second mask is the complement of the one before.
    shown : float, optional
        Share of players shown, between 0 and 1; not for ``"size"``.
    seed : int
        Of the draw.

    Returns
    -------
    Tensor
        bool, shape (masks, n), True where a player is shown; (2**n, n) where 2**n <= `masks`.

    Raises
    ------
    BequeathError
        If an argument is out of range, or the design gives too few different masks.
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
        # Some masks are too rare to be drawn; all are wanted.
        for index in range(2**n):
            mask = np.array([index >> i & 1 for i in range(n)], bool)
            kept.setdefault(mask.tobytes(), mask)
    if len(kept) < wanted:
        raise BequeathError(
            f"masks: the design {design!r} gives only {len(kept)} different masks of {n} players, {wanted} asked for; "
            f"ask for fewer, or let `shown` be nearer to 0.5"
        )
    return torch.from_numpy(np.stack(list(kept.values())))


def _check(n: int, masks: int, design: str, shown: float | None) -> int:
    """The number of players, once all is checked."""
    n = whole(n, "players", 0)
    if not 1 <= n <= MOST_PLAYERS:
        raise BequeathError(f"players: {n} given; sparse readings take 1 to {MOST_PLAYERS}")
    if whole(masks, "masks", 0) < 2:
        raise BequeathError(f"masks: {masks}; give at least 2, for the empty and the full one")
    if design not in get_args(Design):
        raise BequeathError(f"design: {design!r}; give one of {', '.join(get_args(Design))}")
    if shown is not None and (design == "size" or not 0 < shown < 1):
        raise BequeathError(
            f"shown: {shown} for the design {design!r}; give a share between 0 and 1, and none for 'size'"
        )
    wanted = min(masks, 2**n) if n < 63 else masks
    check_fits(wanted * (_BYTES + n), torch.device("cpu"), f"{wanted:,} masks")
    return n


def _block(generator: np.random.Generator, n: int, design: str, shown: float | None) -> NDArray[np.bool_]:
    """The next 64 masks of the stream."""
    u = generator.random((64, n + 1))
    if design == "size":
        sizes = 1 + np.floor(u[:, 0] * max(n - 1, 1)).astype(int)
        ranks = u[:, 1:].argsort(axis=1).argsort(axis=1)
        return np.asarray(ranks < sizes[:, None])
    masks = np.asarray(u[:, 1:] < (_SHOWN[design] if shown is None else shown))
    if design == "paired":
        masks[1::2] = ~masks[::2]
    return masks
