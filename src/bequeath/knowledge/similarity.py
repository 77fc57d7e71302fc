"""How alike the features of two models are on the same samples: debiased linear CKA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bequeath.knowledge.jackknife import jackknife
from bequeath.knowledge.statistics import Estimate

Array = NDArray[np.float64]

LEAST = 4
"""Fewest samples for the unbiased estimate."""


def gram(features: ArrayLike) -> Array:
    """Inner products of the features of all pairs of samples, with a diagonal of zeros: the input of `cka`.

    Parameters
    ----------
    features : array_like
        (samples, features). They are centred and scaled to a mean square of 1, so that sums of products lose no digits;
        `cka` does not depend on either.

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
        In squared units of the first features times squared units of the second. Its mean is 0 for independent
        features, so it may be negative.

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
        1 for features that differ by a rotation, a shift and a common factor. Its mean is 0 for independent features,
        however many there are, unlike the biased estimate; it may be slightly below 0. NaN if the features of one model
        show no structure above noise. Neither higher nor lower is better: it says whether two candidates are alike.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton: Similarity of neural network representations revisited. ICML 2019. Nguyen, Raghu,
    Kornblith: Do wide and deep networks learn the same things? ICLR 2021 (with the unbiased estimate).
    """
    scale = unbiased_hsic(first, first) * unbiased_hsic(second, second)
    own = min(unbiased_hsic(first, first), unbiased_hsic(second, second))
    return unbiased_hsic(first, second) / float(np.sqrt(scale)) if own > 0 else float("nan")


def cka_estimate(first: Array, second: Array, groups: Sequence[NDArray[np.int64]]) -> Estimate:
    """`cka` with its 95% interval over samples, from a jackknife over groups of samples.

    Parameters
    ----------
    first, second : ndarray
        As for `cka`.
    groups : sequence of ndarray
        As for `jackknife`; without any one of them at least `LEAST` samples must be left.

    Returns
    -------
    Estimate
        The mean is NaN if `cka` is, the interval if `cka` is NaN without one of the groups.
    """

    def of_samples(kept: NDArray[np.int64]) -> float:
        return cka(*(products[np.ix_(kept, kept)] for products in (first, second)))

    value = cka(first, second)
    return Estimate(value, *jackknife(of_samples, groups, value), len(first))
