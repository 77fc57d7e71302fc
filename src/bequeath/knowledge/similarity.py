"""How alike the features of two models are on the same samples: debiased linear CKA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bequeath.knowledge.jackknife import jackknife
from bequeath.knowledge.statistics import Estimate

Array = NDArray[np.float64]

LEAST = 4
"""So many samples the unbiased estimate needs."""


def gram(features: ArrayLike) -> Array:
    """Products of all pairs of samples' features, with a diagonal of zeros: what `cka` compares.

    Parameters
    ----------
    features : array_like
        (samples, features). They are centred and brought to a mean square of 1, which `cka` does not see, so that sums
        of products lose no digits.

    Returns
    -------
    ndarray
        (samples, samples).
    """
    x = np.asarray(features, dtype=np.float64)
    x = x - x.mean(0)
    size = np.sqrt((x**2).mean())
    x = x / size if size > 0 else x
    products = np.asarray(x @ x.T)
    np.fill_diagonal(products, 0.0)
    return products


def unbiased_hsic(first: Array, second: Array) -> float:
    """The unbiased estimate of the Hilbert-Schmidt independence criterion (Song et al. 2012, eq. 5).

    Parameters
    ----------
    first, second : ndarray
        (samples, samples), symmetric, with diagonals of zeros, as `gram` gives them.

    Returns
    -------
    float
        In products of both squared units; its mean is 0 for features that are independent, so that it may be negative.

    Raises
    ------
    ValueError
        For fewer than four samples.

    References
    ----------
    Song, Smola, Gretton, Bedo, Borgwardt: Feature selection via dependence maximization. JMLR 13, 2012.
    """
    n = len(first)
    if n < LEAST:
        raise ValueError(f"{n} samples; the unbiased estimate needs {LEAST}")
    trace = np.vdot(first, second)
    rows_1, rows_2 = first.sum(0), second.sum(0)
    sums = rows_1.sum() * rows_2.sum() / ((n - 1) * (n - 2))
    return float((trace + sums - 2 * rows_1 @ rows_2 / (n - 2)) / (n * (n - 3)))


def cka(first: Array, second: Array) -> float:
    """Debiased linear centred kernel alignment of two models' features on the same samples.

    Parameters
    ----------
    first, second : ndarray
        (samples, samples), as `gram` gives them for each model.

    Returns
    -------
    float
        1 for features that differ by a rotation, a shift and a common factor; 0 in the mean for independent ones,
        however many features there are, unlike the biased estimate. It may be slightly below 0. NaN where the features
        of one model show no structure above noise. Neither higher nor lower is better: it says whether it is worth
        trying both of two candidates.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton: Similarity of neural network representations revisited. ICML 2019. Nguyen, Raghu,
    Kornblith: Do wide and deep networks learn the same things? ICLR 2021 (with the unbiased estimate).
    """
    scale = unbiased_hsic(first, first) * unbiased_hsic(second, second)
    own = min(unbiased_hsic(first, first), unbiased_hsic(second, second))
    return unbiased_hsic(first, second) / float(np.sqrt(scale)) if own > 0 else float("nan")


def cka_estimate(first: Array, second: Array, groups: Sequence[NDArray[np.int64]]) -> Estimate:
    """The same with its 95% interval over samples, a jackknife over groups of them.

    Parameters
    ----------
    first, second : ndarray
        As for `cka`.
    groups : sequence of ndarray
        As for `jackknife`; without any one of them there are `LEAST` samples or more.

    Returns
    -------
    Estimate
        NaN where `cka` is, or is without one of the groups.
    """

    def alike(kept: NDArray[np.int64]) -> float:
        return cka(*(one[np.ix_(kept, kept)] for one in (first, second)))

    value = cka(first, second)
    return Estimate(value, *jackknife(alike, groups, value), len(first))
