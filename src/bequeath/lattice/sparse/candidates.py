"""Grows candidate terms from the residuals of fits, if there are too many terms to list them all.

It starts with the terms that correlate most with the values. Each round follows the lasso path to more chosen terms,
and adds the terms that correlate most with the residuals of that fit. If a search through all terms takes too long, the
largest orders are built by hierarchy: one player is added to the strongest and to the chosen terms of the order below.
Terms that the hierarchy misses are found by the certificate, which searches all terms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.kernels import products
from bequeath.lattice.sparse.search import search_cost, strongest
from bequeath.lattice.sparse.selection import PENALTIES, follow
from bequeath.lattice.sparse.terms import Bits, Floats, Terms, distinct, joined, pack

# Candidates at the start, candidates added in each round, and chosen terms at the end of each round.
_START, _MORE, _ROUNDS = 1500, 400, (12, 40, 120)
# Most multiplications of one search, about half a second.
_SEARCH = 1.5e10
# Number of terms of one order that are extended to the next.
_PARENTS = 200


def grown(
    masks: NDArray[np.bool_],
    packed: Bits,
    rows: Floats,
    y: Floats,
    order: int,
    kinds: tuple[int, ...],
    by_order: Floats,
) -> Terms:
    """Candidates for the values y, from the masks in `rows` only; sorted, with different columns.

    Parameters
    ----------
    masks, packed : ndarray
        Masks, bool (K, n), and the same packed by `terms.pack`.
    rows, y : ndarray
        (64 * words,): 1 for masks to be used, and values.
    order : int
        Largest number of players in a term.
    kinds : tuple of int
        AND, OR or both.
    by_order : ndarray
        (order + 1,): weight of a term of each order.

    Returns
    -------
    Terms
    """
    index = np.flatnonzero(rows)
    shown = masks[index]
    scale = y[index].std()
    used = pack(rows.astype(bool)[:, None])[0]
    residual = y[index] - y[index].mean()
    terms = _strongest(shown, residual, order, kinds, by_order, _START, None)
    for most in _ROUNDS:
        if not residual.any():
            break
        terms = terms[distinct(terms.columns(packed), used)]
        bits = terms.columns(packed)
        path = follow(bits, by_order[terms.orders], rows, y, PENALTIES * scale, most)
        residual = (y - path.fitted(1.0)[-1])[index]
        residual -= residual.mean()
        chosen = terms[path.members[-1][path.members[-1] >= 0]]
        terms = joined([terms, _strongest(shown, residual, order, kinds, by_order, _MORE, chosen)])
    return terms[distinct(terms.columns(packed), used)]


def _strongest(
    masks: NDArray[np.bool_],
    r: Floats,
    order: int,
    kinds: tuple[int, ...],
    by_order: Floats,
    keep: int,
    chosen: Terms | None,
) -> Terms:
    """About `keep` terms with the largest |<r, column>| / weight; `chosen` terms are extended by hierarchy, too."""
    n = masks.shape[1]
    lower = order
    while lower > 2 and search_cost(n, len(masks), lower) > _SEARCH:
        lower -= 1
    terms, scores, _ = strongest(masks, r, lower, kinds, by_order, keep)
    terms = _wider(terms, order)
    packed, padded = pack(masks), np.zeros(-(-len(masks) // 64) * 64)
    padded[: len(r)] = r
    parts = [terms]
    for size in range(lower + 1, order + 1):
        of_size = np.flatnonzero(terms.orders == size - 1)
        parents = [terms[of_size[np.argsort(-scores[of_size], kind="stable")[:_PARENTS]]]]
        if chosen is not None:
            parents.append(chosen[chosen.orders == size - 1])
        terms = extended(joined(parents), n, kinds)
        scores = np.empty(len(terms))
        products(terms.columns(packed), padded, scores)
        scores = np.abs(scores) / by_order[size]
        best = np.sort(np.argsort(-scores, kind="stable")[:keep])
        terms, scores = terms[best], scores[best]
        parts.append(terms)
    return joined(parts)


def _wider(terms: Terms, order: int) -> Terms:
    players = np.full((len(terms), order), -1, np.int16)
    players[:, : terms.players.shape[1]] = terms.players
    return Terms(players, terms.kinds)


def extended(terms: Terms, n: int, kinds: tuple[int, ...]) -> Terms:
    """All terms with one more player than a given term, of the same kind; singletons become both kinds."""
    rows = []
    for players, kind in zip(terms.players, terms.kinds, strict=True):
        members = players[players >= 0]
        others = np.setdiff1d(np.arange(n, dtype=np.int16), members)
        more = np.sort(np.column_stack((np.tile(members, (len(others), 1)), others)), axis=1)
        for code in kinds if len(members) == 1 else (kind,):
            padded = np.full((len(more), terms.players.shape[1] + 1), -1, np.int16)
            padded[:, 0], padded[:, 1 : 1 + more.shape[1]] = code, more
            rows.append(padded)
    if not rows:
        return terms[:0]
    unique = np.unique(np.concatenate(rows), axis=0)
    return Terms(np.ascontiguousarray(unique[:, 1:]), unique[:, 0].astype(np.int8))
