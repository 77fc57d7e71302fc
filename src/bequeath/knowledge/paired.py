"""Which of several classifiers is right more often on the same samples, and whether that is clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import ArrayLike

from bequeath.knowledge.statistics import CONFIDENCE, Estimate


def paired_difference(first: ArrayLike, second: ArrayLike, comparisons: int = 1) -> Estimate:
    """How much more often the first is right than the second, with an interval for pairs.

    Parameters
    ----------
    first, second : array_like
        1 or 0 for each of the same samples, (samples,).
    comparisons : int
        So many such intervals are to hold together with 95% (Bonferroni).

    Returns
    -------
    Estimate
        Difference of the two accuracies, -1 to 1. The interval is Bonett and Price's, which counts one more sample that
        only the first gets right, and one that only the second does: where few differ, resampling would be too sure.

    References
    ----------
    Bonett, Price: Adjusted Wald confidence interval for a difference of binomial proportions based on paired data.
    Journal of Educational and Behavioral Statistics 37, 2012.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n = len(a)
    more, fewer = (float(((x > y).sum() + 1) / (n + 2)) for x, y in ((a, b), (b, a)))
    z = scipy.stats.norm.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons))
    half = float(z * np.sqrt((more + fewer - (more - fewer) ** 2) / (n + 2)))
    value = float(a.mean() - b.mean())
    return Estimate(value, min(more - fewer - half, value), max(more - fewer + half, value), n)


@dataclass(frozen=True)
class Ranking:
    """Classifiers by accuracy.

    Attributes
    ----------
    order : tuple of str
        From the most accurate on; equals in the order given.
    behind : dict
        For all but the first: how much more often the first is right; the intervals hold together with 95%.
    not_apart : tuple of str
        Those that are not clearly behind the first.
    """

    order: tuple[str, ...]
    behind: Mapping[str, Estimate]
    not_apart: tuple[str, ...]


def ranking(correct: Mapping[str, Sequence[float] | ArrayLike]) -> Ranking:
    """Rank classifiers by how often each is right on the same samples.

    Parameters
    ----------
    correct : mapping
        1 or 0 for each sample, (samples,), by name.
    """
    rows = {name: np.asarray(row, dtype=np.float64) for name, row in correct.items()}
    order = sorted(rows, key=lambda name: -float(rows[name].mean()))
    first, *others = order
    behind = {name: paired_difference(rows[first], rows[name], len(others)) for name in others}
    not_apart = tuple(name for name, difference in behind.items() if difference.low <= 0)
    return Ranking(tuple(order), behind, not_apart)
