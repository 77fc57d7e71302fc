"""Sparse readings: interactions from values on sampled masks, with certificate, errors and held-out R2."""

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
from bequeath.lattice.sparse.design import Shared, shared
from bequeath.lattice.sparse.table import Reading, read
from bequeath.lattice.sparse.terms import KINDS, Floats
from bequeath.lattice.threads import in_parts

Kind = Literal["and-or", "and", "or"]

# Number of tables in one part of the work.
_PART = 4
# Largest power of two of a result; larger ones come too close to the end of the range of float64.
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
    """Sparse AND and OR interactions from values on some of the 2**n masks; they also predict the other masks.

    A lasso on all terms up to an order chooses the terms; penalty and shrinkage are chosen by cross-validation over
    masks. Source: docs/method.md, section "Sparse reading"; details in docs/sparse.md.

    Parameters
    ----------
    masks : Tensor or array
        bool (or 0 and 1), shape (K, n), n up to 256, True where a player is shown. The empty mask must be among them.
        `draw_masks` makes masks.
    values : Tensor or array
        Values of the masks, shape (K,) or (..., K), on any device. Tables share the masks; each is fitted separately.
    order : int, optional
        Largest number of players in a term. By default 4 if all terms of order 4 can be listed (up to 16 players, or 19
        for one kind), else 3; less with fewer players, or too few masks.
    kind : {"and-or", "and", "or"}
        Kinds of terms. The effects of single players are always AND terms.
    players : sequence of str, optional
        Names of the n players; their numbers by default.
    resamples : int
        Number of fits on random halves of the masks, even. They give `Term.chosen` and `Term.error`; with 0 these are
        NaN.
    seed : int
        Seed of folds, halves and resamples.
    progress : callable, optional
        Called with the number of tables that were just finished.

    Returns
    -------
    Interactions
        Listed terms in the units of the values. v(0) is fitted exactly; `residual` is v(N) minus its prediction; `r2`
        is R2 on held-out masks (at most 1, higher is better). `certificate` bounds the distance of the plain lasso fit
        from its optimum over all terms up to the order. (For values above 1e135 or below 1e-135, only its gap is
        meaningful, because squares would leave the range of float64.)

    Raises
    ------
    BequeathError
        If masks and values do not belong together, the empty mask is missing, a player is never hidden or never shown,
        there are too few masks for the order, a value is not finite, or an argument is out of range.

    Warns
    -----
    RepeatedMaskWarning
        If a mask is given several times with different values; their mean is used.
    ConstantValuesWarning
        If the values of a table do not vary: it has no terms, and its R2 is NaN.

    Examples
    --------
    >>> import bequeath as bq
    >>> masks = bq.draw_masks(6, 64)
    >>> x = masks.double()
    >>> interactions = bq.fit(masks, 1 + 3 * x[:, 0] * x[:, 1] - 2 * x[:, 4], order=2)
    >>> [(term.type, term.name, round(term.value, 2)) for term in interactions.top(2)]
    [('and', '{0, 1}', 3.0), ('and', '{4}', -2.0)]
    >>> round(interactions.r2.item(), 2), interactions.offset.item()
    (1.0, 1.0)
    """
    resamples, seed = whole(resamples, "resamples", 0), whole(seed, "seed", 0)
    if resamples % 2:
        raise BequeathError(
            f"resamples: {resamples}; give an even number of 0 or more (halves come in pairs)"
        )
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
    read_halves = partial(_halves, sampled, names, order, kind, seed)
    return _assembled(readings, sampled, names, order, read_halves)


def _order_for(masks: Any, kind: str) -> int:
    """The default order. Wrong masks and kinds are refused later, by the checks."""
    shape = plain_tensor(masks, "masks").shape
    return usual_order(shape[1], shape[0], kind) if len(shape) == 2 and kind in KINDS else 1


def _read_part(design: Shared, sampled: Sampled, part: slice) -> list[Reading]:
    return [
        _read_one(design, y - v0) for y, v0 in zip(sampled.values[part], sampled.empty[part], strict=True)
    ]


def _read_one(design: Shared, y: Floats) -> Reading:
    """Read one table minus v(0), scaled to values of about 1, because squares of others may leave float64's range."""
    power = int(np.frexp(np.abs(y).max(initial=0.0))[1])
    reading = read(design, np.ldexp(y, -power))
    # The certificate is in squared units. If these would leave the range, only its gap stays meaningful.
    squared = min(max(2 * power, -_RANGE), _RANGE)
    powers = dict.fromkeys(_IN_UNITS, power) | dict.fromkeys(("objective", "lower_bound"), squared)
    return replace(reading, **{name: np.ldexp(getattr(reading, name), by) for name, by in powers.items()})


def _assembled(
    readings: Sequence[Reading],
    sampled: Sampled,
    names: tuple[str, ...],
    order: int,
    read_halves: Callable[[], tuple[Interactions, Interactions]],
) -> Interactions:
    """Join the readings of all tables, over the union of their terms."""
    by_reading = [
        [
            tuple(row)
            for row in np.column_stack((part.terms.orders, part.terms.kinds, part.terms.players)).tolist()
        ]
        for part in readings
    ]
    keys = sorted({key for of_reading in by_reading for key in of_reading})  # by order, AND first, by players
    column = {key: i for i, key in enumerate(keys)}
    shape = (len(readings), len(keys))
    value, error, chosen = np.zeros(shape), np.full(shape, np.nan), np.full(shape, np.nan)
    for i, (reading, of_reading) in enumerate(zip(readings, by_reading, strict=True)):
        columns = [column[key] for key in of_reading]
        value[i, columns], error[i, columns] = reading.value, reading.error
        chosen[i, columns] = reading.chosen

    def tensor(numbers: Any, *axes: int) -> torch.Tensor:
        return torch.as_tensor(np.asarray(numbers)).reshape((*sampled.shape, *axes)).to(sampled.device)

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
        read_halves=read_halves,
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
    """`Interactions.halves` of a `fit` with the same arguments, without the whole reading."""
    sampled = check_sampled(masks, values, order, kind)
    return _halves(sampled, names_of(players, sampled.masks.shape[1]), order, kind, seed)


def _halves(
    sampled: Sampled, names: tuple[str, ...], order: int, kind: Kind, seed: int
) -> tuple[Interactions, Interactions]:
    """Readings without errors from two disjoint halves of the masks; both have the empty and the full mask."""
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
    reading = fit(masks, values, order, kind=kind, players=names, resamples=0, seed=seed)
    return reading.with_shape(sampled.shape).to(sampled.device)
