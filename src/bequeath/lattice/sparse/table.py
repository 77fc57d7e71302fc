"""One table read: candidates, validation, the fit, its errors, and its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.candidates import grown
from bequeath.lattice.sparse.certificate import duality_gap
from bequeath.lattice.sparse.kernels import products
from bequeath.lattice.sparse.naming import exchangeable, rename, renamed
from bequeath.lattice.sparse.search import strongest
from bequeath.lattice.sparse.selection import (
    PENALTIES,
    Choice,
    Validation,
    chosen_fit,
    ridge_of,
    validate,
)
from bequeath.lattice.sparse.terms import (
    KINDS,
    LISTED,
    Bits,
    Floats,
    Terms,
    all_terms,
    count_terms,
    distinct,
    joined,
    pack,
)

# A term of one player more is penalised so much more.
ORDER_WEIGHT = 1.25
# Folds of the cross-validation: more where masks are few, fewer where candidates are grown for each.
_FOLDS, _FEWER_FOLDS, _MANY_MASKS = 10, 5, 400
# Searches through all terms that may bring new ones into the final fit, and how many each brings.
_REPAIRS, _BROUGHT = 2, 1000
# Terms above the penalty by less than this share are not brought in; the certificate counts them all the same.
_SLACK = 1e-3
# A value counts as constant where it varies by less than this share of its size.
_FLAT = 1e-12


@dataclass(frozen=True)
class Shared:
    """What all tables on the same masks have in common.

    `masks` bool (K, n) and their bits; `used` (64 * words,); `folds` (64 * words,), -1 behind the last mask; `halves`:
    masks of each resample, (resamples, 64 * words); `terms` and `bits`: all terms of different columns, None where
    candidates are grown; `weights` (order + 1,) by order; `fours`: what two names there are for (`exchangeable`).
    """

    masks: NDArray[np.bool_]
    packed: Bits
    used: Floats
    folds: NDArray[np.int64]
    halves: Floats
    terms: Terms | None
    bits: Bits | None
    order: int
    kind: str
    weights: Floats
    full: int
    fours: NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """The interactions of one table, in its units; fields as in `bequeath.lattice.listed.Listed`."""

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


def shared(masks: NDArray[np.bool_], order: int, kind: str, seed: int, resamples: int) -> Shared:
    """Prepare masks, bool (K, n), without the empty one."""
    k, n = masks.shape
    packed = pack(masks)
    length = 64 * packed.shape[1]
    used = np.zeros(length)
    used[:k] = 1
    many = count_terms(n, order, kind) > LISTED
    full = np.flatnonzero(masks.all(1))
    inner = np.setdiff1d(np.arange(k), full)
    folds = np.full(length, -1)
    number = min(_FEWER_FOLDS if many or k > _MANY_MASKS else _FOLDS, len(inner))
    shuffled = np.random.default_rng([seed, 0]).permutation(inner)
    folds[shuffled] = np.arange(len(inner)) % number
    generator = np.random.default_rng([seed, 1])
    halves = np.zeros((resamples, length))
    for pair in range(resamples // 2):
        shuffled = generator.permutation(k)
        halves[2 * pair, shuffled[: k // 2]] = 1
        halves[2 * pair + 1, shuffled[k // 2 :]] = 1
    terms = bits = None
    if not many:
        terms = all_terms(n, order, kind)
        bits = terms.columns(packed)
        kept = distinct(bits, pack(used.astype(bool)[:, None])[0])
        terms, bits = terms[kept], np.ascontiguousarray(bits[:, kept])
    weights: Floats = np.power(ORDER_WEIGHT, np.arange(order + 1) - 1.0)
    place = int(full[0]) if len(full) else -1
    fours = exchangeable(terms) if terms is not None else np.empty((0, 4), np.int64)
    return Shared(masks, packed, used, folds, halves, terms, bits, order, kind, weights, place, fours)


def read(design: Shared, values: Floats) -> Reading:
    """Fit values, (K,), less v(0)."""
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
    for left in range(_REPAIRS, -1, -1):
        weight = design.weights[terms.orders]
        members, b, plain = chosen_fit(
            bits, weight, design.used, y, penalties, choice, validation.plain, sharing
        )
        last = min(at, len(plain) - 1)
        r = y[:k] - plain.fits[last, :k]
        r -= r.mean()
        places, shrunk = plain.coefficients(last, 0.0)
        ridge = ridge_of(k, sharing)
        more, largest = _beyond(
            design, terms, bits, weight, (places, ridge * shrunk), r, penalties[last] * k, left
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
    some = terms[members]
    x = _columns(bits, members, k)
    constant = float(values.mean() - x.mean(0) @ b)
    fitted = constant + x @ b
    shares, error = _resampled(design, bits, weight, y, penalties, choice, validation, members, b, fours)
    return Reading(
        some,
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
    """With the ridge, unless the truth seems to be sparse.

    A ridge smears few strong terms over others that are much alike. So it is left out where the adaptive family, which
    is right for few strong terms, has the least error.
    """
    judged = partial(validate, bits, weights, design.used, design.folds, y, penalties)
    with_ridge = judged(sharing=True)
    return judged(sharing=False) if with_ridge.sparse else with_ridge


def _flat(design: Shared, constant: float) -> Reading:
    """No terms: the values do not depend on the masks, so there is nothing that R2 could be of."""
    none = np.zeros(0)
    terms = Terms(np.empty((0, design.order), np.int16), np.empty(0, np.int8))
    residual = 0.0 if design.full >= 0 else np.nan
    return Reading(terms, none, none, none, constant, residual, np.nan, 0.0, 0.0, 0.0, 0.0, 0)


def _candidates(design: Shared, rows: Floats, y: Floats) -> tuple[Terms, Bits]:
    """Terms to choose from, and their columns; grown ones look at the masks in `rows` alone."""
    if design.terms is not None and design.bits is not None:
        return design.terms, design.bits
    terms = grown(design.masks, design.packed, rows, y, design.order, KINDS[design.kind], design.weights)
    return terms, terms.columns(design.packed)


def _beyond(
    design: Shared,
    terms: Terms,
    bits: Bits,
    weight: Floats,
    held: tuple[NDArray[np.int64], Floats],
    r: Floats,
    penalty: float,
    left: int,
) -> tuple[Terms | None, float]:
    """Terms that the plain fit should have had too, and the largest |<r, column> - ridge b| / weight of all terms.

    `held`: the terms of the fit, as places among `terms`, and what the ridge holds back of each (ridge * b).
    """
    places, back = held
    padded = np.zeros(len(design.used))
    padded[: len(r)] = r
    if design.terms is not None:
        c = np.empty(bits.shape[1])
        products(bits, padded, c)
        c[places] -= back
        return None, float((np.abs(c) / weight).max(initial=0.0))
    kinds, bar = KINDS[design.kind], penalty * (1 - 1e-6)
    c = np.empty(len(places))
    products(np.ascontiguousarray(bits[:, places]), padded, c)
    own = float((np.abs(c - back) / weight[places]).max(initial=0.0))
    # The search knows nothing of the ridge: the fit's own terms are above the bar by what it holds back of them.
    known = set(terms[places].keys())
    if left:
        # A quick look for more terms; what goes into the certificate is computed in float64.
        more, scores, _ = strongest(
            design.masks, r, design.order, kinds, design.weights, _BROUGHT + len(known), bar=bar
        )
        more, largest = _unknown(more, scores, known)
        if largest > penalty * (1 + _SLACK):
            return more, max(largest, own)
    more, scores, _ = strongest(
        design.masks, r, design.order, kinds, design.weights, len(known) + 1, bar=bar, dtype=np.float64
    )
    return None, max(_unknown(more, scores, known)[1], own, bar)


def _unknown(terms: Terms, scores: Floats, known: set[bytes]) -> tuple[Terms, float]:
    """The terms that are not known, and the largest score of those."""
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
    """Of each term, over the fits on half samples: share with this sign, and standard error; nan without half samples.

    The error is the delete-half jackknife (Shao & Wu 1989): the root mean square of what half of the masks change. A
    term that a half does not choose is 0 there, so the choice of terms is part of it.
    """
    if not len(design.halves):
        return np.full(len(members), np.nan), np.full(len(members), np.nan)
    values = np.zeros((len(design.halves), bits.shape[1]))
    for row, rows in zip(values, design.halves, strict=True):
        # The noise of a mean over half of the masks is larger by the root of two, and so is the penalty.
        found, coefficients, _ = chosen_fit(
            bits, weight, rows, y, penalties * 2**0.5, choice, validation.plain, validation.sharing
        )
        row[found] = coefficients
    rename(values, fours)
    halves = values[:, members]
    return (np.sign(halves) == np.sign(b)).mean(0), np.sqrt(((halves - b) ** 2).mean(0))
