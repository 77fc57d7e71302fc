"""Subsets of n players as bitmasks: bit i of an index is player i."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.given import flags, plain_tensor

# Largest number of players of an exact table, which needs 2**n model evaluations and 2**n values in memory.
MAX_PLAYERS = 24


def check_players(n: int) -> None:
    """Refuse a number of players that is too large for exact tables; the message says what they would cost.

    Raises
    ------
    BequeathError
        If `n` is below 1 or above `MAX_PLAYERS`.
    """
    if n < 1:
        raise BequeathError(f"players: {n} given; give at least 1")
    if n > MAX_PLAYERS:
        evaluations = 2**n
        raise BequeathError(
            f"players: {n} players need 2**{n} = {evaluations:,} model evaluations and "
            f"{evaluations * 8:,} bytes for each sample and model; exact tables stop at "
            f"{MAX_PLAYERS} players: use a sparse reading (bequeath.explain, decomposition: sparse), or a coarser grid"
        )


def players_of(v: Tensor) -> int:
    """The number of players n of a table whose last axis has 2**n entries.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n with n >= 1.
    """
    length = v.shape[-1] if v.ndim else 0
    n = length.bit_length() - 1
    if n < 1 or length != 1 << n:
        raise BequeathError(
            f"v: the last axis of shape {tuple(v.shape)} has length {length}; give 2**n values for n >= 1 players"
        )
    return n


@lru_cache(maxsize=32)
def _orders(n: int) -> Tensor:
    orders = torch.zeros(1, dtype=torch.int64)
    for _ in range(n):
        orders = torch.cat([orders, orders + 1])
    return orders


def orders(n: int, device: torch.device | str = "cpu") -> Tensor:
    """Order |T| of every subset T: int64, shape (2**n,).

    Parameters
    ----------
    n : int
        Number of players.
    device : torch.device or str
        Device of the result.

    Returns
    -------
    Tensor
    """
    return _orders(n).to(device)


def masks(n: int, start: int = 0, stop: int | None = None, device: torch.device | str = "cpu") -> Tensor:
    """Masks of the subsets `start` .. `stop - 1`: bool, shape (stop - start, n), True for players in the subset.

    Parameters
    ----------
    n : int
        Number of players.
    start, stop : int
        Range of subsets; by default all 2**n.
    device : torch.device or str
        Device of the result.

    Returns
    -------
    Tensor
    """
    return masks_of(torch.arange(start, 2**n if stop is None else stop, device=device), n)


def masks_of(subsets: Tensor, n: int) -> Tensor:
    """Masks of the given subsets, int64 (subsets,): bool, shape (subsets, n), True where a player is in the subset."""
    return (subsets[:, None] >> torch.arange(n, device=subsets.device)) & 1 == 1


def members(subset: int, n: int) -> tuple[int, ...]:
    """The players of one subset, in ascending order.

    Parameters
    ----------
    subset : int
        Bitmask.
    n : int
        Number of players.

    Returns
    -------
    tuple of int
    """
    return tuple(i for i in range(n) if subset >> i & 1)


def player_names(given: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Names of the n players; their numbers by default.

    Parameters
    ----------
    given : sequence of str, or None
        Names.
    n : int
        Number of players.

    Returns
    -------
    tuple of str

    Raises
    ------
    BequeathError
        If there are not n names.
    """
    if given is not None and len(given) != n:
        raise BequeathError(f"players: {len(given)} names for {n} players; give one for each")
    return tuple(str(player) for player in (range(n) if given is None else given))


def subset_name(subset: int, names: Sequence[str]) -> str:
    """Name of one subset, such as ``{good, film}``."""
    return "{" + ", ".join(names[i] for i in members(subset, len(names))) + "}"


def indices_of(masks: Tensor | NDArray[Any], n: int) -> Tensor:
    """Indices of subsets, int64 (m,), from such indices or from masks, bool (m, n).

    Raises
    ------
    BequeathError
        If `masks` has another shape or dtype, or an index is out of range.
    """
    wanted = (
        f"give indices of subsets, whole numbers of shape (m,), or present players, bool of shape (m, {n})"
    )
    given = plain_tensor(masks, "masks")
    if given.ndim == 2 and given.shape[1] == n:
        return (flags(given, "masks").to(torch.int64) << torch.arange(n, device=given.device)).sum(-1)
    if given.dtype == torch.bool or given.is_floating_point() or given.ndim != 1:
        raise BequeathError(
            f"masks: {given.dtype} of shape {tuple(given.shape)} given for {n} players; {wanted}"
        )
    given = given.to(torch.int64)
    outside = given[(given < 0) | (given >= 2**n)]
    if len(outside):
        raise BequeathError(
            f"masks: {outside[0].item()} given; give indices of the subsets of {n} players, 0 to {2**n - 1}"
        )
    return given


def shown_players(masks: Tensor | NDArray[Any] | None, n: int) -> Tensor:
    """Masks, bool (m, n), from masks or from indices of subsets; None: all 2**n.

    Raises
    ------
    BequeathError
        If `masks` has another shape or dtype, or all masks are too many.
    """
    given = torch.arange(2**n) if masks is None and n <= MAX_PLAYERS else masks
    if given is None:
        raise BequeathError(f"masks: all 2**{n} are too many; give some of them")
    given = plain_tensor(given, "masks")
    if given.ndim == 2 and given.shape[1] == n:
        return flags(given, "masks")
    return masks_of(indices_of(given, n), n)
