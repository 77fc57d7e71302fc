"""AND and OR terms up to an order, and their columns over a set of masks.

A term is a set of players and a kind. Its column has an entry for each mask: whether all of its players are shown
(AND), or at least one of them (OR). For a single player both kinds are the same function, kept once, as AND.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

AND, OR = 0, 1
# Up to this many terms are all listed; of more terms, candidates are grown.
LISTED = 6000
KINDS = {"and": (AND,), "or": (OR,), "and-or": (AND, OR)}

Bits = NDArray[np.uint64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """A list of terms.

    Attributes
    ----------
    players : ndarray
        int16, shape (terms, order): the players of each term in ascending order, padded by -1.
    kinds : ndarray
        int8, shape (terms,): 0 AND, 1 OR.
    """

    players: NDArray[np.int16]
    kinds: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, index: Any) -> Terms:
        return Terms(self.players[index], self.kinds[index])

    @property
    def orders(self) -> NDArray[np.int64]:
        """Number of players in each term, int64, shape (terms,)."""
        return np.asarray((self.players >= 0).sum(1))

    def keys(self) -> list[bytes]:
        """A key for each term, which is the same in all lists with the same order."""
        return [row.tobytes() for row in np.column_stack((self.kinds.astype(np.int16), self.players))]

    def sorted(self) -> Terms:
        """Sorted by order, AND before OR, then by players; ties are decided in this order."""
        names: list[NDArray[Any]] = [self.players[:, q] for q in reversed(range(self.players.shape[1]))]
        return self[np.lexsort([*names, self.kinds, self.orders])]

    def columns(self, shown: Bits) -> Bits:
        """Packed columns over masks packed by `pack`: uint64, shape (words, terms)."""
        # Imported here, so that reading a study file does not wait for the compiler.
        from bequeath.lattice.sparse.kernels import columns

        out = np.empty((shown.shape[1], len(self)), np.uint64)
        columns(shown, self.players, self.kinds, out)
        return out


def joined(parts: list[Terms]) -> Terms:
    """The union of several lists of terms, sorted."""
    players = np.concatenate([part.players for part in parts])
    kinds = np.concatenate([part.kinds for part in parts])
    rows = np.unique(np.column_stack((kinds.astype(np.int16), players)), axis=0)
    return Terms(np.ascontiguousarray(rows[:, 1:]), rows[:, 0].astype(np.int8)).sorted()


def count_terms(n: int, order: int, kind: str = "and-or") -> int:
    """Number of terms of n players up to an order.

    Parameters
    ----------
    n, order : int
        Number of players, and largest number of players in a term.
    kind : {"and-or", "and", "or"}
        Kinds of terms.

    Returns
    -------
    int
    """
    single = n
    larger = sum(comb(n, k) for k in range(2, order + 1))
    return single + larger * len(KINDS[kind])


def all_terms(n: int, order: int, kind: str = "and-or") -> Terms:
    """All terms of n players up to an order, sorted.

    Parameters
    ----------
    n, order : int
        Number of players, and largest number of players in a term.
    kind : {"and-or", "and", "or"}
        Kinds of terms.

    Returns
    -------
    Terms
    """
    players, kinds = [], []
    for k in range(1, order + 1):
        sets = np.array(list(combinations(range(n), k)), np.int16).reshape(-1, k)
        for code in (AND,) if k == 1 else KINDS[kind]:
            players.append(np.pad(sets, ((0, 0), (0, order - k)), constant_values=-1))
            kinds.append(np.full(len(sets), code, np.int8))
    return Terms(np.concatenate(players), np.concatenate(kinds)).sorted()


def pack(masks: NDArray[np.bool_]) -> Bits:
    """Masks, bool (K, n), packed into bits: uint64 (n, words), 64 masks in a word, padded by empty masks."""
    padded = np.zeros((masks.shape[1], -(-len(masks) // 64) * 64), bool)
    padded[:, : len(masks)] = masks.T
    return np.ascontiguousarray(np.packbits(padded, axis=1, bitorder="little")).view(np.uint64)


def distinct(bits: Bits, used: Bits) -> NDArray[np.int64]:
    """Indices of terms with different, not constant columns over the used masks.

    Of equal columns the first is kept: in a sorted list that is the term of the smallest order, AND before OR, then
    with the lowest players. This depends on the masks only: it is the same for all models and samples on them.

    Parameters
    ----------
    bits : ndarray
        Packed columns (words, terms).
    used : ndarray
        Packed masks in use (words,).

    Returns
    -------
    ndarray
        Ascending.
    """
    columns = np.ascontiguousarray((bits & used[:, None]).T)
    _, first = np.unique(columns, axis=0, return_index=True)
    constant = (columns == 0).all(1) | (columns == used).all(1)
    return np.sort(first[~constant[first]])
