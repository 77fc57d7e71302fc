"""The design of a sparse reading: masks, folds, resamples and terms, which all tables on the same masks share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.naming import exchangeable
from bequeath.lattice.sparse.terms import LISTED, Bits, Floats, Terms, all_terms, count_terms, distinct, pack

# Factor of the penalty weight for each further player in a term.
ORDER_WEIGHT = 1.25
# Folds of the cross-validation: _FOLDS, or _FEWER_FOLDS for more than _MANY_MASKS masks or if candidates are grown.
_FOLDS, _FEWER_FOLDS, _MANY_MASKS = 10, 5, 400


@dataclass(frozen=True)
class Shared:
    """The design that all tables on the same masks share.

    Attributes
    ----------
    masks, packed : ndarray
        Masks, bool (K, n), and the same packed into bits.
    used, folds : ndarray
        (64 * words,): 1 for each mask; the fold in which it is left out, -1 for none.
    halves : ndarray
        (resamples, 64 * words): 1 for the masks of each resample.
    terms, bits : Terms, ndarray, or None
        All terms with different columns, and their columns; None if candidates are grown.
    order, kind : int, str
        As for `fit`.
    weights : ndarray
        (order + 1,): penalty weight by order.
    full : int
        Index of the full mask; -1 if it is missing.
    fours : ndarray
        Terms with two equal names (`exchangeable`).
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


def shared(masks: NDArray[np.bool_], order: int, kind: str, seed: int, resamples: int) -> Shared:
    """Prepare the design for masks, bool (K, n), without the empty mask.

    Parameters
    ----------
    masks : ndarray
        bool (K, n), without the empty mask.
    order, kind, seed, resamples
        As for `fit`.

    Returns
    -------
    Shared
    """
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
    full_mask = int(full[0]) if len(full) else -1
    fours = exchangeable(terms) if terms is not None else np.empty((0, 4), np.int64)
    return Shared(masks, packed, used, folds, halves, terms, bits, order, kind, weights, full_mask, fours)
