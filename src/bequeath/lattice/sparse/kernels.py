"""Columns of terms as bits, and inner products with them, compiled.

The column of a term has one bit for each of K masks: whether the term is present. The bits are packed into words of 64
masks, shape (words, terms). The inner product of two columns is a count of bits. The inner product of a column with
real values uses tables of partial sums over 8 masks (the method of four Russians). Each function works on one table and
one set of masks, so batches, threads and the order of the tables do not change a bit of the results.
"""

from __future__ import annotations

import numpy as np
from numba import uint8, uint64
from numba.core import types
from numba.extending import intrinsic

from bequeath.lattice.compiled import compiled


@intrinsic
def _count(typing_context, word):
    """Number of set bits of a word."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@compiled
def columns(shown, players, kinds, out):
    """Write the packed columns of terms to out (words, terms).

    shown: (n, words), packed masks. players: (terms, orders), padded by -1. kinds: 0 AND, 1 OR.
    """
    for j in range(players.shape[0]):
        for w in range(shown.shape[1]):
            word = shown[players[j, 0], w]
            for q in range(1, players.shape[1]):
                i = players[j, q]
                if i < 0:
                    break
                word = word | shown[i, w] if kinds[j] else word & shown[i, w]
            out[w, j] = word


@compiled
def _partial_sums(x, first, sums):
    """sums[b, m]: the sum of x[first + 8 b + i] over the bits i of m."""
    for b in range(8):
        start = first + 8 * b
        for i in range(8):
            half = 1 << i
            value = x[start + i]
            for m in range(half):
                sums[b, half + m] = sums[b, m] + value


@compiled
def products(bits, x, out):
    """out[j] = sum of x over the masks in which term j is present; x (64 * words,) is padded by zeros."""
    words, terms = bits.shape
    sums = np.zeros((8, 256))
    out[:] = 0.0
    for w in range(words):
        _partial_sums(x, 64 * w, sums)
        for j in range(terms):
            word = bits[w, j]
            low = (
                sums[0, uint8(word)]
                + sums[1, uint8(word >> uint64(8))]
                + sums[2, uint8(word >> uint64(16))]
                + sums[3, uint8(word >> uint64(24))]
            )
            high = (
                sums[4, uint8(word >> uint64(32))]
                + sums[5, uint8(word >> uint64(40))]
                + sums[6, uint8(word >> uint64(48))]
                + sums[7, uint8(word >> uint64(56))]
            )
            out[j] += low + high


@compiled
def counts(bits, chosen, out):
    """out[j] = number of the chosen masks, bits (words,), in which term j is present."""
    words, terms = bits.shape
    out[:] = 0.0
    for w in range(words):
        for j in range(terms):
            out[j] += _count(bits[w, j] & chosen[w])  # type: ignore[call-arg]


@compiled
def common(a, b):
    """Number of masks in which both of two terms, packed columns (words,), are present."""
    total = uint64(0)
    for w in range(a.size):
        total += _count(a[w] & b[w])  # type: ignore[call-arg]
    return float(total)


@compiled
def add_column(bits, j, factor, out):
    """out += factor * column j, over 64 * words masks."""
    for w in range(bits.shape[0]):
        word = bits[w, j]
        for i in range(64):
            out[64 * w + i] += factor * float((word >> uint64(i)) & uint64(1))
