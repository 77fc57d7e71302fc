"""Reads one table: candidates, validation, fit, standard errors and certificate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.candidates import grown
from bequeath.lattice.sparse.certificate import duality_gap
from bequeath.lattice.sparse.design import Shared
from bequeath.lattice.sparse.kernels import products
from bequeath.lattice.sparse.naming import exchangeable, rename, renamed
from bequeath.lattice.sparse.search import strongest
from bequeath.lattice.sparse.selection import PENALTIES, Choice, chosen_fit, ridge_of
from bequeath.lattice.sparse.terms import (
    KINDS,
    Bits,
    Floats,
    Terms,
    distinct,
    joined,
    pack,
)
from bequeath.lattice.sparse.validation import Validation, validate

# Searches through all terms that may add terms to the final fit, and most terms that each may add.
_REPAIRS, _ADDED = 2, 1000
# A term is added only if its score is above the penalty by more than this share; the certificate counts all scores.
_SLACK = 1e-3
# Values that vary by less than this share of their size count as constant.
_FLAT = 1e-12


@dataclass(frozen=True)
class Reading:
    """The interactions of one table, in its units; the fields are those of `Listed` and `Certificate`."""

    terms: Terms
    value: Floats
    error: Floats
    chosen: Floats
    constant: float
    residual: float
    r2: float
    spread: float
    objective: float
    lower_bound: float
    resolution: float
    steps: int


def read(design: Shared, values: Floats) -> Reading:
    """Read the values of one table minus v(0), (K,).

    Parameters
    ----------
    design : Shared
        The design of the masks.
    values : ndarray
        Values minus v(0), (K,).

    Returns
    -------
    Reading
        In the units of the values.
    """
    k = len(values)
    y = np.zeros(len(design.used))
    y[:k] = values
    scale = float(values.std())
    if scale <= _FLAT * float(np.abs(values).max()):
        return _flat(design, float(values.mean()))
    penalties = PENALTIES * scale
    number = int(design.folds.max()) + 1
    of_folds = [_candidates(design, design.used - (design.folds == f), y) for f in range(number)]
    weights = [design.weights[terms.orders] for terms, _ in of_folds]
    validation = _validated(design, [bits for _, bits in of_folds], weights, y, penalties)
    choice, sharing = validation.choice(), validation.sharing
    at = validation.plain if choice.family else choice.penalty
    terms, bits = _candidates(design, design.used, y)
    for repairs_left in range(_REPAIRS, -1, -1):
        weight = design.weights[terms.orders]
        members, b, plain = chosen_fit(
            bits, weight, design.used, y, penalties, choice, validation.plain, sharing
        )
        last = min(at, len(plain) - 1)
        r = y[:k] - plain.fits[last, :k]
        r -= r.mean()
        places, shrunk = plain.coefficients(last, 0.0)
        ridge = ridge_of(k, sharing)
        more, largest = _missed(
            design, terms, bits, weight, (places, ridge * shrunk), r, penalties[last] * k, repairs_left > 0
        )
        if more is None:
            break
        terms = joined([terms, more])
        bits = terms.columns(design.packed)
        kept = distinct(bits, pack(design.used.astype(bool)[:, None])[0])
        terms, bits = terms[kept], np.ascontiguousarray(bits[:, kept])
    norm = float(np.abs(shrunk) @ weight[places])
    shared_part = ridge * float(shrunk @ shrunk)
    gap = duality_gap(values - values.mean(), r, float(penalties[last] * k), norm, largest, shared_part)
    fours = design.fours if design.terms is not None else exchangeable(terms)
    members, b = renamed(members, b, len(terms), fours)
    x = _columns(bits, members, k)
    constant = float(values.mean() - x.mean(0) @ b)
    fitted = constant + x @ b
    shares, error = _resampled(design, bits, weight, y, penalties, choice, validation, members, b, fours)
    return Reading(
        terms[members],
        b,
        error,
        shares,
        constant,
        float(values[design.full] - fitted[design.full]) if design.full >= 0 else np.nan,
        validation.r2,
        float(np.sqrt(validation.mean_error / k)),
        gap.objective,
        gap.lower_bound,
        0.0,
        plain.steps,
    )


def _validated(
    design: Shared, bits: list[Bits], weights: list[Floats], y: Floats, penalties: Floats
) -> Validation:
    """Validation with the larger ridge, or without it if the true interactions seem to be sparse.

    The ridge spreads a few strong terms over similar terms. It is therefore left out if the adaptive family, which
    suits a few strong terms, has the least error.
    """
    validated = partial(validate, bits, weights, design.used, design.folds, y, penalties)
    with_ridge = validated(sharing=True)
    return validated(sharing=False) if with_ridge.sparse else with_ridge


def _flat(design: Shared, constant: float) -> Reading:
    """The reading of values that do not depend on the masks: no terms, and R2 is NaN."""
    none = np.zeros(0)
    terms = Terms(np.empty((0, design.order), np.int16), np.empty(0, np.int8))
    residual = 0.0 if design.full >= 0 else np.nan
    return Reading(terms, none, none, none, constant, residual, np.nan, 0.0, 0.0, 0.0, 0.0, 0)


def _candidates(design: Shared, rows: Floats, y: Floats) -> tuple[Terms, Bits]:
    """Candidate terms and their columns; grown candidates use the masks in `rows` only."""
    if design.terms is not None and design.bits is not None:
        return design.terms, design.bits
    terms = grown(design.masks, design.packed, rows, y, design.order, KINDS[design.kind], design.weights)
    return terms, terms.columns(design.packed)


def _missed(
    design: Shared,
    terms: Terms,
    bits: Bits,
    weight: Floats,
    held: tuple[NDArray[np.int64], Floats],
    r: Floats,
    penalty: float,
    may_add: bool,
) -> tuple[Terms | None, float]:
    """Terms that are missing in the plain fit, and the largest |<r, column> - ridge b| / weight of all terms.

    `held`: the terms of the fit, as indices among `terms`, and ridge * b of each. The terms are None if the fit is
    complete, or if no more terms may be added.
    """
    places, ridge_b = held
    padded = np.zeros(len(design.used))
    padded[: len(r)] = r
    if design.terms is not None:
        c = np.empty(bits.shape[1])
        products(bits, padded, c)
        c[places] -= ridge_b
        return None, float((np.abs(c) / weight).max(initial=0.0))
    kinds, bar = KINDS[design.kind], penalty * (1 - 1e-6)
    c = np.empty(len(places))
    products(np.ascontiguousarray(bits[:, places]), padded, c)
    own = float((np.abs(c - ridge_b) / weight[places]).max(initial=0.0))
    # The search ignores the ridge, so the terms of the fit are above the bar by ridge * b; they are removed below.
    known = set(terms[places].keys())
    if may_add:
        # A quick search for more terms in float32; the certificate below is computed in float64.
        more, scores, _ = strongest(
            design.masks, r, design.order, kinds, design.weights, _ADDED + len(known), bar=bar
        )
        more, largest = _unknown(more, scores, known)
        if largest > penalty * (1 + _SLACK):
            return more, max(largest, own)
    more, scores, _ = strongest(
        design.masks, r, design.order, kinds, design.weights, len(known) + 1, bar=bar, dtype=np.float64
    )
    return None, max(_unknown(more, scores, known)[1], own, bar)


def _unknown(terms: Terms, scores: Floats, known: set[bytes]) -> tuple[Terms, float]:
    """The terms that are not known, and their largest score."""
    keys = terms.keys()
    new = np.array([key not in known for key in keys], bool)
    return terms[new], float(scores[new].max(initial=0.0))


def _columns(bits: Bits, members: NDArray[np.int64], k: int) -> Floats:
    """The chosen columns, (K, chosen)."""
    columns = np.ascontiguousarray(bits[:, members].T).view(np.uint8)
    return np.unpackbits(columns, axis=1, bitorder="little")[:, :k].T.astype(float)


def _resampled(
    design: Shared,
    bits: Bits,
    weight: Floats,
    y: Floats,
    penalties: Floats,
    choice: Choice,
    validation: Validation,
    members: NDArray[np.int64],
    b: Floats,
    fours: NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """For each term, over fits on halves of the masks: share of fits with its sign, and standard error; NaN without.

    The standard error is the delete-half jackknife (Shao & Wu 1989): the root mean square difference between fits on
    half of the masks and the whole fit. A term that a half does not choose counts as 0, so the choice of terms is
    included.
    """
    if not len(design.halves):
        return np.full(len(members), np.nan), np.full(len(members), np.nan)
    values = np.zeros((len(design.halves), bits.shape[1]))
    for row, rows in zip(values, design.halves, strict=True):
        # The noise of a mean over half of the masks is larger by the square root of two; so is the penalty.
        chosen, coefficients, _ = chosen_fit(
            bits, weight, rows, y, penalties * 2**0.5, choice, validation.plain, validation.sharing
        )
        row[chosen] = coefficients
    rename(values, fours)
    halves = values[:, members]
    return (np.sign(halves) == np.sign(b)).mean(0), np.sqrt(((halves - b) ** 2).mean(0))
