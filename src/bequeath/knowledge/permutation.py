"""Permutation test for paired groups: samples are swapped between the groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Number of random swaps, if not all are used.
_SWAPS = 4999


def swap_test(
    statistic: Callable[[Sequence[Array], Sequence[Array]], Array],
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    seed: int = 0,
) -> float:
    """Two-sided permutation test of no difference between two paired groups: samples are swapped between them.

    Parameters
    ----------
    statistic : callable
        From the means of each group's arrays over samples, lists of (swaps, columns), to the difference, (swaps,).
    first, second : sequence of array_like
        Arrays (samples, columns) or (seeds, samples, columns). Means over seeds are taken first, because samples are
        swapped.
    seed : int
        Seed of the swaps.

    Returns
    -------
    float
        p-value; 1 for fewer than two samples.
    """
    own, others = ([_over_seed_axis(values) for values in group] for group in (first, second))
    n = len(own[0])
    if n < 2:
        return 1.0
    swaps = _swaps(n, seed)

    def means(a: Sequence[Array], b: Sequence[Array]) -> list[Array]:
        return [(swaps @ y + (1 - swaps) @ x) / n for x, y in zip(a, b, strict=True)]

    differences = np.abs(statistic(means(own, others), means(others, own)))
    # Row 0 swaps nothing. Sums in another order differ in the last digits, which must not decide.
    return float((differences >= differences[0] * (1 - 1e-9) - 1e-12).mean())


def _over_seed_axis(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 2 else np.asarray(array.mean(0))


@lru_cache(maxsize=8)
def _swaps(n: int, seed: int) -> Array:
    """Which samples are swapped: 0 or 1, (swaps, n). All 2**n for few samples, else random ones; row 0 swaps none."""
    if n <= 12:
        return np.asarray((np.arange(2**n)[:, None] >> np.arange(n)) & 1, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, 2, size=(_SWAPS, n))
    return np.concatenate((np.zeros((1, n)), drawn))
