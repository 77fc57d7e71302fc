"""Paired comparison of classifiers: which one is right more often on the same samples, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import ArrayLike

from bequeath.knowledge.statistics import CONFIDENCE, Estimate


def paired_difference(first: ArrayLike, second: ArrayLike, comparisons: int = 1) -> Estimate:
    """Accuracy of the first classifier minus accuracy of the second, with an interval for paired samples.

    Parameters
    ----------
    first, second : array_like
        1 or 0 for each of the same samples, (samples,).
    comparisons : int
        Number of intervals that hold together with 95% (Bonferroni).

    Returns
    -------
    Estimate
        Difference of the two accuracies, -1 to 1. The interval is Bonett and Price's. It counts one more sample that
        only the first gets right, and one more that only the second gets right; a bootstrap interval is too narrow if
        few samples differ.

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
        The most accurate first; equal ones in the order given.
    behind : dict of str to Estimate
        For all but the first: accuracy of the first minus its own. The intervals hold together with 95%.
    not_apart : tuple of str
        Classifiers that are not clearly behind the first.
    """

    order: tuple[str, ...]
    behind: Mapping[str, Estimate]
    not_apart: tuple[str, ...]


def ranking(correct: Mapping[str, Sequence[float] | ArrayLike]) -> Ranking:
    """Rank classifiers by their accuracy on the same samples.

    Parameters
    ----------
    correct : mapping of str to array_like
        By name: 1 or 0 for each sample, (samples,).

    Returns
    -------
    Ranking
    """
    rows = {name: np.asarray(row, dtype=np.float64) for name, row in correct.items()}
    order = sorted(rows, key=lambda name: -float(rows[name].mean()))
    first, *others = order
    behind = {name: paired_difference(rows[first], rows[name], len(others)) for name in others}
    not_apart = tuple(name for name, difference in behind.items() if difference.low <= 0)
    return Ranking(tuple(order), behind, not_apart)
