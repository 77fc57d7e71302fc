"""From values on sampled masks to interactions: sparse, certified, with errors and a held-out R2."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bequeath.errors import BequeathError
from bequeath.lattice.given import plain_tensor, whole
from bequeath.lattice.interactions import Certificate, Interactions
from bequeath.lattice.listed import Listed
from bequeath.lattice.sparse.checks import (
    ConstantValuesWarning,
    Sampled,
    check_sampled,
    names_of,
    usual_order,
)
from bequeath.lattice.sparse.table import Reading, Shared, read, shared
from bequeath.lattice.sparse.terms import KINDS, Floats
from bequeath.lattice.threads import in_parts

Kind = Literal["and-or", "and", "or"]

# Tables of one part of the work.
_PART = 4
# Powers of two that numbers keep far away from the ends of their range.
_RANGE = 900
_IN_UNITS = ("value", "error", "constant", "residual", "spread")


def fit(
    masks: Any,
    values: Any,
    order: int | None = None,
    *,
    kind: Kind = "and-or",
    players: Sequence[str] | None = None,
    resamples: int = 10,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Interactions:
    """AND and OR interactions that explain values on some of the 2**n masks, and predict the others (METHOD 4).

    Parameters
    ----------
    masks : Tensor or array
        bool (or 0 and 1), shape (K, n), n up to 256, True where a player is shown; the empty mask must be among them.
        `bequeath.draw_masks` makes them.
    values : Tensor or array
        Numbers, shape (K,) or (..., K), on any device: tables share the masks, and are fitted each by
        itself.
    order : int, optional
        Terms of up to so many players. By default 4 where all terms of order 4 can be listed (up to 16 players, or 19
        of one kind), else 3; less where there are fewer players, or too few masks for it.
    kind : {"and-or", "and", "or"}
        Kinds of terms; a single player's effect stands under AND in any case.
    players : sequence of str, optional
        Names of the n players; their numbers by default.
    resamples : int
        Fits on random halves of the masks that say how often a term is chosen, and how much it changes: `Term.chosen`
        and `Term.error`, which are nan with 0.
    seed : int
        Of the folds, halves and resamples; has no effect on anything else.
    progress : callable, optional
        Called with the number of tables just finished.

    Returns
    -------
    Interactions
        Listed terms; v(0) is exact, `residual` is what they leave of v(N), `certificate` bounds how far the plain fit
        behind the choice of terms is from its optimum over all terms of the stated orders (of values beyond 1e135, or
        below 1e-135, only the gap of the two is told: they themselves would leave the range of numbers).

    Raises
    ------
    BequeathError
        If masks and values do not belong together, the empty mask is missing, a player is never hidden or never shown,
        there are too few masks for the order, a value is not finite, or an argument is out of range.

    Warns
    -----
    RepeatedMaskWarning
        If a mask is there several times with different values; their mean is used.
    ConstantValuesWarning
        If a table's values do not vary: it has no terms, and its R2 is nan.

    Examples
    --------
    >>> masks = bq.draw_masks(16, 256)
    >>> found = bq.fit(masks, game.values(masks))
    >>> found.r2, found.top(5)
    """
    resamples, seed = whole(resamples, "resamples", 0), whole(seed, "seed", 0)
    if resamples % 2:
        raise BequeathError(f"resamples: {resamples}; give an even number of 0 or more: halves come in pairs")
    if order is None:
        order = _order_for(masks, kind)
    sampled = check_sampled(masks, values, order, kind)
    order = int(order)
    names = names_of(players, sampled.masks.shape[1])
    design = shared(sampled.masks, order, kind, seed, resamples)
    readings: list[Reading] = []
    parts = [slice(i, i + _PART) for i in range(0, len(sampled.values), _PART)]
    for part in in_parts(partial(_read_part, design, sampled), parts):
        readings += part
        if progress is not None:
            progress(len(part))
    constant = sum(bool(np.isnan(reading.r2)) for reading in readings)
    if constant:
        warnings.warn(
            f"values: those of {constant} of {len(readings)} tables do not vary over the masks: no terms, no R2 (nan)",
            ConstantValuesWarning,
            stacklevel=2,
        )
    again = partial(_halves, sampled, names, order, kind, seed)
    return _assembled(readings, sampled, names, order, again)


def _order_for(masks: Any, kind: str) -> int:
    """The order of a reading that is not told one. Wrong masks and kinds are left to the checks."""
    shape = plain_tensor(masks, "masks").shape
    return usual_order(shape[1], shape[0], kind) if len(shape) == 2 and kind in KINDS else 1


def _read_part(design: Shared, sampled: Sampled, part: slice) -> list[Reading]:
    return [
        _read_one(design, y - v0) for y, v0 in zip(sampled.values[part], sampled.empty[part], strict=True)
    ]


def _read_one(design: Shared, y: Floats) -> Reading:
    """A table, v(0) taken off, read at the size of one: squares of values far from one leave the range of numbers."""
    power = int(np.frexp(np.abs(y).max(initial=0.0))[1])
    found = read(design, np.ldexp(y, -power))
    # The certificate is in squared units: where these leave the range, its gap alone is kept.
    squared = min(max(2 * power, -_RANGE), _RANGE)
    powers = dict.fromkeys(_IN_UNITS, power) | dict.fromkeys(("objective", "lower_bound"), squared)
    return replace(found, **{name: np.ldexp(getattr(found, name), by) for name, by in powers.items()})


def _assembled(
    readings: Sequence[Reading],
    sampled: Sampled,
    names: tuple[str, ...],
    order: int,
    again: Callable[[], tuple[Interactions, Interactions]],
) -> Interactions:
    """One result of all tables, over the union of their terms."""
    place: dict[tuple[int, ...], int] = {}
    for reading in readings:
        for row in np.column_stack(
            (reading.terms.orders, reading.terms.kinds, reading.terms.players)
        ).tolist():
            place.setdefault(tuple(row), 0)
    keys = sorted(place)  # by order, AND first, then by players
    place = {key: i for i, key in enumerate(keys)}
    shape = (len(readings), len(keys))
    value, error, chosen = np.zeros(shape), np.full(shape, np.nan), np.full(shape, np.nan)
    for i, reading in enumerate(readings):
        rows = np.column_stack((reading.terms.orders, reading.terms.kinds, reading.terms.players)).tolist()
        columns = [place[tuple(row)] for row in rows]
        value[i, columns], error[i, columns] = reading.value, reading.error
        chosen[i, columns] = reading.chosen

    def tensor(numbers: Any, *axes: int) -> torch.Tensor:
        made = torch.as_tensor(np.asarray(numbers))
        return made.reshape((*sampled.shape, *axes)).to(sampled.device)

    listed = Listed(
        members=tuple(tuple(p for p in key[2:] if p >= 0) for key in keys),
        kinds=tuple("or" if key[1] else "and" for key in keys),
        value=tensor(value, len(keys)),
        error=tensor(error, len(keys)),
        chosen=tensor(chosen, len(keys)),
        constant=tensor([reading.constant for reading in readings]),
        residual=tensor([reading.residual for reading in readings]),
        r2=tensor([reading.r2 for reading in readings]),
        spread=tensor([reading.spread for reading in readings]),
        order=order,
        masks=len(sampled.masks) + 1,
        again=again,
    )
    certificate = Certificate(
        objective=tensor([reading.objective for reading in readings]),
        lower_bound=tensor([reading.lower_bound for reading in readings]),
        resolution=tensor([reading.resolution for reading in readings]),
        iterations=tensor([reading.steps for reading in readings]),
    )
    return Interactions.of_terms(listed, tensor(sampled.empty), names, certificate)


def halves(
    masks: Any,
    values: Any,
    order: int,
    *,
    kind: Kind = "and-or",
    players: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[Interactions, Interactions]:
    """What `Interactions.halves` of `fit` with the same arguments gives, without the whole reading."""
    sampled = check_sampled(masks, values, order, kind)
    return _halves(sampled, names_of(players, sampled.masks.shape[1]), order, kind, seed)


def _halves(
    sampled: Sampled, names: tuple[str, ...], order: int, kind: Kind, seed: int
) -> tuple[Interactions, Interactions]:
    """The same reading, without errors, from two disjoint halves of the masks; both have the empty and the full one."""
    k = len(sampled.masks)
    inner = np.setdiff1d(np.arange(k), [sampled.full])
    shuffled = np.random.default_rng([seed, 2]).permutation(inner)
    first, second = np.sort(shuffled[: len(inner) // 2]), np.sort(shuffled[len(inner) // 2 :])
    ends = np.array([sampled.full] if sampled.full >= 0 else [], np.int64)
    return _half(sampled, np.concatenate((ends, first)), names, order, kind, seed), _half(
        sampled, np.concatenate((ends, second)), names, order, kind, seed
    )


def _half(
    sampled: Sampled,
    rows: NDArray[np.int64],
    names: tuple[str, ...],
    order: int,
    kind: Kind,
    seed: int,
) -> Interactions:
    n = sampled.masks.shape[1]
    masks = np.concatenate((np.zeros((1, n), bool), sampled.masks[rows]))
    values = np.concatenate((sampled.empty[:, None], sampled.values[:, rows]), axis=1)
    found = fit(masks, values, order, kind=kind, players=names, resamples=0, seed=seed)
    return found.with_shape(sampled.shape).to(sampled.device)
