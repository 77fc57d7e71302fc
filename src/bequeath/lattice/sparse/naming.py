"""Agreed names for equal functions: {i} + {j} equals AND{i, j} + OR{i, j} on every mask.

Which of the two a fit chooses depends on its other terms. Without agreed names, two models with the same function would
seem to differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.compiled import compiled
from bequeath.lattice.sparse.terms import OR, Floats, Terms

# Most rounds over all pairs. A round never increases the L1 norm, so few are needed.
_ROUNDS = 20


def exchangeable(terms: Terms) -> NDArray[np.int64]:
    """Indices of {i}, {j}, AND{i, j}, OR{i, j} among the terms, for all pairs with all four: (pairs, 4)."""
    index = {}
    for term in np.flatnonzero(terms.orders <= 2):
        players = tuple(int(p) for p in terms.players[term] if p >= 0)
        index[players, int(terms.kinds[term])] = int(term)
    fours = []
    for (players, kind), or_term in index.items():
        if kind == OR and len(players) == 2:
            four = [index.get(key) for key in ((players[:1], 0), (players[1:], 0), (players, 0))] + [or_term]
            if None not in four:
                fours.append(four)
    return np.array(sorted(fours), dtype=np.int64).reshape(-1, 4)


@compiled
def rename(values, fours):
    """Rewrite the rows of values (rows, terms) so that each pair has the least L1 norm, in place.

    Moving an amount t from {i} and {j} to AND and OR does not change the game. The L1 norm is smallest on an
    interval of t. Of its two ends, the one with fewer terms is used; if equal, the one with the smaller OR term.
    """
    for row in range(values.shape[0]):
        b = values[row]
        for _ in range(_ROUNDS):
            moved = False
            for q in range(fours.shape[0]):
                i, j, both, either = fours[q]
                if b[both] == 0.0 and b[either] == 0.0:
                    continue
                ends = np.sort(np.array([b[i], b[j], -b[both], -b[either]]))
                best, least, smallest = 0.0, 5, np.inf
                for t in (ends[1], ends[2]):
                    terms = int(b[i] != t) + int(b[j] != t) + int(b[both] != -t) + int(b[either] != -t)
                    size = abs(b[either] + t)
                    if terms < least or (terms == least and size < smallest):
                        best, least, smallest = t, terms, size
                if best != 0.0:
                    b[i] -= best
                    b[j] -= best
                    b[both] += best
                    b[either] += best
                    moved = True
            if not moved:
                break


def renamed(
    members: NDArray[np.int64], b: Floats, size: int, fours: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Floats]:
    """Chosen terms, as indices among `size` terms, and their values under the agreed names."""
    row = np.zeros((1, size))
    row[0, members] = b
    rename(row, fours)
    kept = np.flatnonzero(row[0])
    return kept, row[0, kept]
