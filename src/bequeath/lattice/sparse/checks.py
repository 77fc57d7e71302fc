"""Refuses masks and values that cannot be fitted, before the work starts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.given import finite, flags, numbers, plain_tensor, whole
from bequeath.lattice.listed import MOST_PLAYERS
from bequeath.lattice.sparse.terms import KINDS, LISTED, Floats, count_terms

_WARN_LEVEL = 4


class RepeatedMaskWarning(UserWarning):
    """A mask was given several times with different values; their mean is used."""


class ConstantValuesWarning(UserWarning):
    """The values of a table do not vary over the masks, so it has no terms and no R2."""


@dataclass(frozen=True)
class Sampled:
    """Checked masks and values.

    Attributes
    ----------
    masks : ndarray
        bool, (K, n): different masks, without the empty one.
    values : ndarray
        float64, (tables, K).
    empty : ndarray
        (tables,): v(0).
    full : int
        Index of the full mask; -1 if it is missing.
    shape : torch.Size
        Leading axes of the given values.
    device : torch.device
        Device of the given values.
    """

    masks: NDArray[np.bool_]
    values: Floats
    empty: Floats
    full: int
    shape: torch.Size
    device: torch.device


def least_masks(n: int, order: int) -> int:
    """Fewest masks for a fit up to an order: 2 max(2**order, n + 1), or all 2**n if these are fewer."""
    enough: int = 2 * max(2**order, n + 1)
    return min(int(2**n), enough) if n < 63 else enough


def usual_order(n: int, masks: int, kind: str = "and-or") -> int:
    """The default order: the largest number of players in a term.

    It is 4 if all terms of order 4 can be listed (up to 16 players, or 19 for one kind), else 3; less with fewer
    players, or too few masks.
    """
    most = 4 if count_terms(n, min(n, 4), kind) <= LISTED else 3
    fitting = [order for order in range(2, most + 1) if order <= n and least_masks(n, order) <= masks]
    return max(fitting, default=min(n, 1))


def check_sampled(masks: Any, values: Any, order: int, kind: str) -> Sampled:
    """Check the arguments of `fit`.

    Raises
    ------
    BequeathError
        As `fit`.
    """
    shown, v = _as_arrays(masks, values)
    n = shown.shape[1]
    if not 1 <= n <= MOST_PLAYERS:
        raise BequeathError(
            f"masks: {n} players; sparse readings take 1 to {MOST_PLAYERS}: use a coarser grid"
        )
    if kind not in KINDS:
        raise BequeathError(f'kind: {kind!r}; give "and", "or" or "and-or"')
    order = whole(order, f"order for {n} players", 1, n)
    finite(v, "values")
    table = v.to("cpu", torch.float64).reshape(-1, v.shape[-1]).numpy()
    with np.errstate(over="ignore"):
        ranges = np.ptp(table, axis=1)
    if not np.isfinite(ranges).all():
        raise BequeathError(
            f"values: up to {np.abs(table).max():.3g}: their differences overflow; give smaller ones"
        )
    shown, table = _without_repeats(shown, table)
    _check_masks(shown, order)
    sizes = shown.sum(1)
    empty = int(np.flatnonzero(sizes == 0)[0])
    kept = np.flatnonzero(sizes > 0)
    full = np.flatnonzero(sizes[kept] == n)
    return Sampled(
        shown[kept],
        np.ascontiguousarray(table[:, kept]),
        table[:, empty].copy(),
        int(full[0]) if len(full) else -1,
        v.shape[:-1],
        v.device,
    )


def _as_arrays(masks: Any, values: Any) -> tuple[NDArray[np.bool_], Tensor]:
    given, v = plain_tensor(masks, "masks"), numbers(values, "values")
    if given.ndim != 2:
        raise BequeathError(
            f"masks: {given.dtype} of shape {tuple(given.shape)}; give bool (masks, players), True where a player is "
            f"shown"
        )
    given = flags(given, "masks")
    if v.ndim < 1 or v.shape[-1] != len(given):
        raise BequeathError(
            f"values: {v.dtype} of shape {tuple(v.shape)} for {len(given)} masks; give floating point numbers of shape "
            f"({len(given)},) or (samples, {len(given)})"
        )
    return given.cpu().numpy(), v


def _without_repeats(shown: NDArray[np.bool_], table: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Each mask once, at its first place, with the mean of its values."""
    _, first, group = np.unique(np.packbits(shown, axis=1), axis=0, return_index=True, return_inverse=True)
    if len(first) == len(shown):
        return shown, table
    group = group.reshape(-1)
    counts = np.bincount(group)
    means = (
        np.stack([np.bincount(group, weights=row) / counts for row in table])
        if len(table)
        else table[:, first]
    )
    deviation = np.abs(table - means[:, group]).max() if table.size else 0.0
    if deviation > 1e-9 * np.abs(table).max():
        warnings.warn(
            f"masks: {len(shown) - len(first)} of {len(shown)} repeat others, with values up to {deviation:.3g} from "
            "their mean; each mask is used once, with its mean",
            RepeatedMaskWarning,
            stacklevel=_WARN_LEVEL,
        )
    order = np.argsort(first)
    return shown[first[order]], means[:, order]


def _check_masks(shown: NDArray[np.bool_], order: int) -> None:
    n = shown.shape[1]
    sizes = shown.sum(1)
    if not (sizes == 0).any():
        raise BequeathError("masks: the empty mask is missing; evaluate it, too: v(0) is fitted exactly")
    needed = least_masks(n, order)
    if len(shown) < needed:
        raise BequeathError(
            f"masks: {len(shown)} different ones given; terms up to order {order} of {n} players need {needed}: give "
            "more masks, or a smaller order"
        )
    inner = shown[(sizes > 0) & (sizes < n)] if n > 1 else shown
    for what, constant in (("hides", inner.all(0)), ("shows", ~inner.any(0))):
        if constant.any():
            player = int(np.flatnonzero(constant)[0])
            raise BequeathError(
                f"masks: none {what} player {player}, except the empty or the full mask, so its effect cannot be "
                "estimated: draw masks that show every player about half of the time"
            )


def names_of(players: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Names of the players; their numbers by default."""
    if players is not None and len(players) != n:
        raise BequeathError(f"players: {len(players)} names for {n} players; give one for each")
    return tuple(str(i) for i in range(n)) if players is None else tuple(str(player) for player in players)
