"""The grouped jackknife: intervals of figures that repeated samples would distort, as in a bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import NDArray

from bequeath.knowledge.statistics import CONFIDENCE


def jackknife(
    statistic: Callable[[NDArray[np.int64]], float], groups: Sequence[NDArray[np.int64]], value: float
) -> tuple[float, float]:
    """The 95% interval of a figure over samples, from its values without each group of samples in turn.

    Parameters
    ----------
    statistic : callable
        From indices of samples, in ascending order, to the figure.
    groups : sequence of ndarray
        Indices of the samples in each group. Each sample is in one group; the groups have about the same size.
    value : float
        The figure over all samples.

    Returns
    -------
    low, high : float
        value -+ t s in the units of the figure: s**2 = (g - 1) / g * sum of squared differences of the g figures from
        their mean, t with g - 1 degrees of freedom. NaN if a figure is not finite.

    References
    ----------
    Shao, Tu: The jackknife and bootstrap. Springer 1995, chapter 2.3 (grouped jackknife).
    """
    samples = np.sort(np.concatenate(groups))
    without = np.array([statistic(np.setdiff1d(samples, group)) for group in groups])
    count = len(without)
    spread = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    half = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * spread
    return float(value - half), float(value + half)
