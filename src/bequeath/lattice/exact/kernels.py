"""Kronecker powers of 2x2 matrices on the CPU, compiled, at the speed of the cache.

A pass reads the four quarters of an array and writes their combinations next to each other. This applies the matrix to
the two highest bits of the index and makes them the lowest ones (Stockham's order, known from the FFT). All passes run
the same loop without strides, which vectorises well. After all bits, the entries are in their original order.

Beyond IEEE, only contraction to fused multiply-adds is allowed, so results do not depend on threads or batches.
"""

from __future__ import annotations

import numpy as np
from numba import uint64

from bequeath.lattice.compiled import compiled

# Number of columns that are processed together if an array is too large for the cache.
TILE = 128


@compiled
def _one_bit(x, y, a, b, c, d):
    half = uint64(x.size // 2)
    for j in range(half):
        x0, x1 = x[j], x[j + half]
        y[uint64(2) * j] = a * x0 + b * x1
        y[uint64(2) * j + uint64(1)] = c * x0 + d * x1


@compiled
def _two_bits_added(x, y, c):
    """`_two_bits` for the matrix ((1, 0), (c, 1)) of zeta and Moebius transforms, with a quarter of the arithmetic."""
    quarter = uint64(x.size // 4)
    for j in range(quarter):
        x0, x1, x2, x3 = x[j], x[j + quarter], x[j + quarter * uint64(2)], x[j + quarter * uint64(3)]
        x1 += c * x0
        x3 += c * x2
        k = uint64(4) * j
        y[k] = x0
        y[k + uint64(1)] = x1
        y[k + uint64(2)] = x2 + c * x0
        y[k + uint64(3)] = x3 + c * x1


@compiled
def _two_bits(x, y, a, b, c, d):
    quarter = uint64(x.size // 4)
    for j in range(quarter):
        x0, x1, x2, x3 = x[j], x[j + quarter], x[j + quarter * uint64(2)], x[j + quarter * uint64(3)]
        y0, y1, y2, y3 = a * x0 + b * x1, c * x0 + d * x1, a * x2 + b * x3, c * x2 + d * x3
        k = uint64(4) * j
        y[k] = a * y0 + b * y2
        y[k + uint64(1)] = a * y1 + b * y3
        y[k + uint64(2)] = c * y0 + d * y2
        y[k + uint64(3)] = c * y1 + d * y3


@compiled
def power(x, out, spare, a, b, c, d):
    """out = (matrix (x) ... (x) matrix) x for one table of length 2**n; x, out and spare are three different arrays."""
    passes = 0
    while x.size >> (2 * passes) > 1:
        passes += 1
    odd = x.size >> (2 * passes - 1) == 1
    source = x
    for i in range(passes):
        target = out if (passes - i) % 2 else spare
        if i == 0 and odd:
            _one_bit(source, target, a, b, c, d)
        elif a == 1 and b == 0 and d == 1:
            _two_bits_added(source, target, c)
        else:
            _two_bits(source, target, a, b, c, d)
        source = target


@compiled
def rows(x, out, first, last, a, b, c, d):
    """`power` of the tables first .. last - 1 of x, shape (tables, 2**n)."""
    spare = np.empty(x.shape[1], x.dtype)
    for i in range(first, last):
        power(x[i], out[i], spare, a, b, c, d)


@compiled
def rows_in_place(x, first, last, a, b, c, d):
    """`rows` with the result in x."""
    row, spare = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    for i in range(first, last):
        row[:] = x[i]
        power(row, x[i], spare, a, b, c, d)


@compiled
def _two_bits_in_order(x, y, width, a, b, c, d):
    """Apply the matrix to the two bits above an index of `width` entries; all bits keep their places."""
    w = uint64(width)
    for start in range(uint64(0), uint64(x.size), uint64(4) * w):
        for j in range(start, start + w):
            x0, x1, x2, x3 = x[j], x[j + w], x[j + w * uint64(2)], x[j + w * uint64(3)]
            y0, y1, y2, y3 = a * x0 + b * x1, c * x0 + d * x1, a * x2 + b * x3, c * x2 + d * x3
            y[j] = a * y0 + b * y2
            y[j + w] = a * y1 + b * y3
            y[j + w * uint64(2)] = c * y0 + d * y2
            y[j + w * uint64(3)] = c * y1 + d * y3


@compiled
def columns(x, first, last, a, b, c, d):
    """Apply the matrix to all bits of axis 1 of x, (blocks, 4**k, width), in place, for tiles first .. last - 1."""
    _, height, width = x.shape
    here, there = np.empty(height * TILE, x.dtype), np.empty(height * TILE, x.dtype)
    for t in range(first, last):
        block, column = t // (width // TILE), t % (width // TILE) * TILE
        for r in range(height):
            here[r * TILE : (r + 1) * TILE] = x[block, r, column : column + TILE]
        step = height * TILE // 4
        while step >= TILE:
            _two_bits_in_order(here, there, step, a, b, c, d)
            here, there = there, here
            step //= 4
        for r in range(height):
            x[block, r, column : column + TILE] = here[r * TILE : (r + 1) * TILE]
