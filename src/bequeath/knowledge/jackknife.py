"""Intervals of figures that copies of a sample would distort, so that they cannot be resampled: groups are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import NDArray

from bequeath.knowledge.statistics import CONFIDENCE


def jackknife(
    statistic: Callable[[NDArray[np.int64]], float], groups: Sequence[NDArray[np.int64]], value: float
) -> tuple[float, float]:
    """The 95% interval of a figure over samples: it is computed without each of some groups in turn.

    Parameters
    ----------
    statistic : callable
        From indices of samples, in increasing order, to the figure.
    groups : sequence of ndarray
        Indices of the samples of each group; together every sample once, groups of about one size.
    value : float
        The figure of all samples.

    Returns
    -------
    low, high : float
        value -+ t s, s**2 = (g - 1) / g * sum of squared differences of the g figures from their mean, t of g - 1
        degrees of freedom. NaN where a figure is not finite.

    References
    ----------
    Shao, Tu: The jackknife and bootstrap. Springer 1995, chapter 2.3 (grouped jackknife).
    """
    every = np.sort(np.concatenate(groups))
    left = np.array([statistic(np.setdiff1d(every, group)) for group in groups])
    count = len(left)
    spread = np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    half = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * spread
    return float(value - half), float(value + half)
