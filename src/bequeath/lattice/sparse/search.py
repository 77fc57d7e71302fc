"""Searches all terms up to an order for the strongest ones, without listing the terms.

For a common prefix of players, <r, AND_T> of all sets T of the prefix and two more players is one matrix product over
the masks that show the prefix. Recursion over prefixes gives all orders. If r has sum 0, <r, OR_T> is -<r, AND_T> of
the complemented masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.sparse.terms import AND, Floats, Terms

Real = NDArray[np.floating]


@dataclass
class _Best:
    """The strongest terms so far; a further term must have a score above `bar`."""

    order: int
    weights: Floats
    keep: int
    bar: float = 0.0
    largest: float = 0.0

    def __post_init__(self) -> None:
        self.players: list[NDArray[np.int16]] = []
        self.kinds: list[NDArray[np.int8]] = []
        self.scores: list[Real] = []
        self.kept = 0

    def offer(self, kind: int, prefix: tuple[int, ...], score: Real, *columns: NDArray[np.intp]) -> None:
        """Add terms of one kind with scores above the bar; each has the players of the prefix and of the columns."""
        if not len(score):
            return
        self.largest = max(self.largest, float(score.max()))
        if not self.keep:
            return
        rows = np.full((len(score), self.order), -1, np.int16)
        rows[:, : len(prefix)] = prefix
        for q, column in enumerate(columns):
            rows[:, len(prefix) + q] = column
        self.players.append(rows)
        self.kinds.append(np.full(len(score), kind, np.int8))
        self.scores.append(score)
        self.kept += len(score)
        if self.kept > 8 * self.keep:
            self.prune()

    def prune(self) -> tuple[Terms, Floats]:
        """Keep the `keep` strongest terms; returns them with their scores."""
        players = np.concatenate(self.players) if self.players else np.empty((0, self.order), np.int16)
        kinds = np.concatenate(self.kinds) if self.kinds else np.empty(0, np.int8)
        scores = np.concatenate(self.scores) if self.scores else np.empty(0)
        if len(scores) > self.keep:
            best = np.sort(np.argpartition(-scores, self.keep)[: self.keep])
            players, kinds, scores = players[best], kinds[best], scores[best]
            self.bar = max(self.bar, float(scores.min()))
        self.players, self.kinds, self.scores = [players], [kinds], [scores]
        self.kept = len(scores)
        return Terms(players, kinds), np.asarray(scores, np.float64)


def strongest(
    masks: NDArray[np.bool_],
    r: Floats,
    order: int,
    kinds: tuple[int, ...],
    weights: Floats,
    keep: int,
    *,
    bar: float = 0.0,
    dtype: type[np.floating] = np.float32,
) -> tuple[Terms, Floats, float]:
    """The `keep` terms with the largest |<r, column>| / weight, among all terms up to `order`.

    Parameters
    ----------
    masks : ndarray
        bool, shape (K, n).
    r : ndarray
        Shape (K,), with sum 0.
    order : int
        Largest number of players in a term.
    kinds : tuple of int
        AND, OR or both; a single player counts as AND.
    weights : ndarray
        Shape (order + 1,): the weight of a term of each order.
    keep : int
        Number of terms to return.
    bar : float
        Only terms with a score above it count.
    dtype : type
        float32 is twice as fast, with an error of about 1e-6 times the sum of |r|.

    Returns
    -------
    terms : Terms
        In no particular order.
    scores : ndarray
        Their |<r, column>| / weight.
    largest : float
        The largest score of all terms; 0 if none is above `bar`.
    """
    best = _Best(order, weights, keep, bar)
    for kind in sorted({AND, *kinds}):
        shown = masks if kind == AND else ~masks
        x = np.ascontiguousarray(shown, dtype)
        _below(best, kind, x, r.astype(dtype), (), 0, only_singles=kind not in kinds)
    terms, scores = best.prune()
    return terms, scores, best.largest


def _below(
    best: _Best,
    kind: int,
    x: Real,
    r: Real,
    prefix: tuple[int, ...],
    start: int,
    *,
    only_singles: bool = False,
) -> None:
    """Offer all terms that start with the prefix; x: (masks that show the prefix, players from `start` on)."""
    depth = len(prefix)
    if depth == 0 and kind == AND:
        score = np.abs(r @ x) / best.weights[1]
        above = np.flatnonzero(score > best.bar)
        best.offer(kind, prefix, score[above], above + start)
    if only_singles or best.order < depth + 2 or x.shape[1] < 2:
        return
    products = np.abs((x * r[:, None]).T @ x)
    products /= best.weights[depth + 2]
    first, second = np.nonzero(products > best.bar)
    upper = first < second
    first, second = first[upper], second[upper]
    best.offer(kind, prefix, products[first, second], first + start, second + start)
    if best.order > depth + 2:
        for i in range(x.shape[1] - 2):
            rows = np.flatnonzero(x[:, i])
            if len(rows):
                _below(best, kind, x[rows, i + 1 :], r[rows], (*prefix, start + i), start + i + 1)


def search_cost(n: int, masks: int, order: int) -> float:
    """Approximate number of multiplications of one search through all AND and OR terms."""
    sets = 1.0
    for k in range(order):
        sets *= (n - k) / (k + 1)
    return 4.0 * sets * masks * 0.5 ** max(order - 2, 0)
