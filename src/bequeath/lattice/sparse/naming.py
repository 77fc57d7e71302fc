"""One name for one function: {i} + {j} is AND{i, j} + OR{i, j} on every mask, and two models must say it alike.

Which of the two a fit ends with depends on the model's other terms, so models would seem to differ where they do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bequeath.lattice.compiled import compiled
from bequeath.lattice.sparse.terms import OR, Floats, Terms

# Rounds over all pairs; each lessens the L1 norm or keeps it, so few are needed.
_ROUNDS = 20


def exchangeable(terms: Terms) -> NDArray[np.int64]:
    """Places of {i}, {j}, AND{i, j}, OR{i, j} among the terms, for all pairs that have all four: (pairs, 4)."""
    place = {}
    for at in np.flatnonzero(terms.orders <= 2):
        players = tuple(int(p) for p in terms.players[at] if p >= 0)
        place[players, int(terms.kinds[at])] = int(at)
    found = []
    for (players, kind), either in place.items():
        if kind == OR and len(players) == 2:
            four = [place.get(key) for key in ((players[:1], 0), (players[1:], 0), (players, 0))] + [either]
            if None not in four:
                found.append(four)
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 4)


@compiled
def rename(values, fours):
    """Give each pair's part of the rows of values (rows, terms) the name with the least L1 norm, in place.

    Moving t from {i} and {j} to AND and OR changes no value of the game. The L1 norm is least over an interval of t:
    of its ends the one with fewer terms is taken, then the one with the smaller OR.
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
    """Chosen terms, as places among `size` terms, and their values under the agreed names."""
    row = np.zeros((1, size))
    row[0, members] = b
    rename(row, fours)
    kept = np.flatnonzero(row[0])
    return kept, row[0, kept]
