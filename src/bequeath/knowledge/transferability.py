"""How well a model's present features fit new labels, without any training: LogME, LEEP, H-score.

A higher value of each promises a better fine-tuned model. With few samples and many features all of them are large by
chance, so each value has a chance level: the mean of the same score over random permutations of the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# The evidence is flat beyond e**±30 times the mean squared singular value.
_WIDEST = 30.0
_GRID, _ZOOMS = 61, 8
# Singular values below this share of the largest are rounding: features are float32.
_RANK = 1e-6
PERMUTATIONS = 20


@dataclass(frozen=True)
class Score:
    """A score and its chance level.

    Attributes
    ----------
    value : float
        With the labels as given.
    reference : float
        Chance level: mean score over random permutations of the labels; NaN without permutations.
    """

    value: float
    reference: float


def one_hot(labels: ArrayLike) -> Array:
    """One-hot rows of labels 0 .. classes - 1: (samples, classes)."""
    y = np.asarray(labels)
    return np.asarray(np.eye(int(y.max()) + 1)[y])


def logme(
    features: ArrayLike, labels: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Score:
    """The logarithm of the maximum evidence of a Bayesian linear model, per sample (You et al. 2021, LogME).

    For each class, the one-hot label is modelled as a linear function of the features with Gaussian weights (precision
    alpha) and Gaussian noise (precision beta). The evidence is maximised over both. For a given ratio t = alpha / beta
    the best beta has a closed form, so only t is searched, on a grid that is refined. Unlike the fixed-point iteration
    of the paper, this does not stop early if there are more features than samples.

    Parameters
    ----------
    features : array_like
        (samples, features), any unit; not centred, as in the paper.
    labels : array_like of int
        (samples,), 0 .. classes - 1, each class at least once.
    permutations, seed : int
        Number of random permutations of the labels for the chance level, and their seed.

    Returns
    -------
    Score
        In nats per sample, mean over the classes. Higher is better. It is the logarithm of a density and may be above
        0.

    Raises
    ------
    ValueError
        If the numbers of features and labels differ.

    References
    ----------
    You, Liu, Wang, Long: LogME: practical assessment of pre-trained models for transfer learning. ICML 2021.
    """
    f, y = _paired(features, labels)
    n = len(y)
    u, squares = _directions(f)
    targets = one_hot(y)
    scaled = squares / squares.mean() if len(squares) else squares

    def score(order: NDArray[np.int64]) -> float:
        z = (u.T @ targets[order]) ** 2
        # The part of the targets outside the span of the features; rounding can make it negative.
        outside = np.maximum(targets.sum(0) - z.sum(0), 0.0)
        return float(np.mean([_highest(scaled, z[:, k], outside[k], n) for k in range(len(outside))]) / n)

    return _with_reference(score, n, permutations, seed)


def _highest(squares: Array, z: Array, outside: float, n: int) -> float:
    """The log evidence of one class at its best ratio t."""
    low, high = -_WIDEST, _WIDEST
    for _ in range(_ZOOMS):
        grid = np.linspace(low, high, _GRID)
        evidence = _evidence(squares, z[:, None], np.array([outside]), n, np.exp(grid))[:, 0]
        best, step = int(evidence.argmax()), grid[1] - grid[0]
        low, high = grid[best] - step, grid[best] + step
    return float(evidence.max())


def _evidence(squares: Array, z: Array, outside: Array, n: int, t: Array) -> Array:
    """Log evidence of each class for each ratio t, at the best beta: (ratios, classes).

    `squares`: squared singular values (rank,). `z`: squared coordinates of the targets along the singular vectors,
    (rank, classes). `outside`: squared norm of the targets outside their span, (classes,). `t`: (ratios,).
    """
    shrunk = t[:, None] / (t[:, None] + squares)
    # At least a rounding error: features that fit the labels exactly leave an error of 0.
    error = np.maximum(outside + shrunk @ z, 1e-12 * n)
    fit = 0.5 * n * (np.log(n / error) - 1 - np.log(2 * np.pi))
    return np.asarray(fit + 0.5 * np.log(shrunk).sum(1)[:, None])


def leep(
    probabilities: ArrayLike, labels: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Score:
    """How well the source classes that a model predicts determine the new labels (Nguyen et al. 2020, LEEP).

    P(y | z) is estimated from the model's probabilities of its own classes z and the labels y. The label of a sample is
    then predicted by the mean of P(y | z) over the sample's probabilities of z.

    Parameters
    ----------
    probabilities : array_like
        (samples, source classes), rows of at least 0 that sum to 1.
    labels : array_like of int
        (samples,), 0 .. classes - 1.
    permutations, seed : int
        Number of random permutations of the labels for the chance level, and their seed.

    Returns
    -------
    Score
        Mean log-probability of the labels in nats. Higher is better; at most 0. It is minus the entropy of the labels
        if the model gives all samples the same probabilities.

    Raises
    ------
    ValueError
        If the numbers of rows and labels differ.

    References
    ----------
    Nguyen, Hassner, Seeger, Archambeau: LEEP: a new measure to evaluate transferability of learned representations.
    ICML 2020.
    """
    p, y = _paired(probabilities, labels)
    targets, totals = one_hot(y), np.maximum(p.sum(0), np.finfo(np.float64).tiny)

    def score(order: NDArray[np.int64]) -> float:
        conditional = (p.T @ targets[order]) / totals[:, None]  # P(y | z): (source classes, classes)
        return float(np.log((p @ conditional)[np.arange(len(y)), y[order]]).mean())

    return _with_reference(score, len(y), permutations, seed)


def h_score(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    shrink: bool = True,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Score:
    """How far the class means of the features lie apart, relative to the spread of the features (Bao et al. 2019).

    The H-score is tr(S^-1 M): S is the covariance of the features, M the covariance of the class means. With more
    features than samples S has no inverse; with nearly as many the score measures noise. The shrunk score uses Ledoit
    and Wolf's estimate of S, and shrinks M by the same factor 1 - w (Ibrahim et al. 2022).

    Parameters
    ----------
    features : array_like
        (samples, features), any unit.
    labels : array_like of int
        (samples,), 0 .. classes - 1.
    shrink : bool
        Whether to shrink. False: the score as first published, with the pseudo-inverse of S.
    permutations, seed : int
        Number of random permutations of the labels for the chance level, and their seed.

    Returns
    -------
    Score
        Dimensionless, 0 to classes - 1. Higher is better.

    Raises
    ------
    ValueError
        If the numbers of features and labels differ, or no feature differs between samples.

    References
    ----------
    Bao, Li, Huang, Zhang, Zheng, Zamir, Guibas: An information-theoretic approach to transferability in task transfer
    learning. ICIP 2019. Ibrahim, Ponomareva, Mazumder: Newer is not always better: rethinking transferability metrics,
    their peculiarities, stability and performance. ECML PKDD 2022.
    """
    f, y = _paired(features, labels)
    n, d = f.shape
    centred = f - f.mean(0)
    if np.ptp(f, axis=0).max(initial=0) <= _RANK * np.abs(f).max(initial=0):
        raise ValueError("all samples have the same features")
    u, squares = _directions(centred)
    variances = squares / n
    w = _ledoit_wolf(centred, variances) if shrink else 0.0
    spread = (1 - w) * variances + w * variances.sum() / d
    # M in the directions of S: the mean of U over each class, times the singular value.
    factors = (1 - w) * variances * n / spread

    targets = one_hot(y)
    counts = np.maximum(targets.sum(0), 1)

    def score(order: NDArray[np.int64]) -> float:
        sums = targets[order].T @ u
        return float(((sums**2 / counts[:, None]) @ factors).sum() / n)

    return _with_reference(score, n, permutations, seed)


def _with_reference(
    score: Callable[[NDArray[np.int64]], float], n: int, permutations: int, seed: int
) -> Score:
    """The score of the labels as they are, and its mean over random permutations of them."""
    rng = np.random.default_rng(seed)
    by_chance = [score(rng.permutation(n)) for _ in range(permutations)]
    return Score(score(np.arange(n)), float(np.mean(by_chance)) if by_chance else float("nan"))


def _directions(x: Array) -> tuple[Array, Array]:
    """Left singular vectors (samples, rank) and squared singular values (rank,), without values that are rounding.

    Computed from the eigenvalues of the smaller Gram matrix, which is several times faster than a singular value
    decomposition.
    """
    wide = x.shape[1] > len(x)
    squares, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = squares > _RANK**2 * squares.max(initial=0)
    squares, vectors = squares[kept], vectors[:, kept]
    return (vectors if wide else x @ vectors / np.sqrt(squares)), squares


def _ledoit_wolf(centred: Array, variances: Array) -> float:
    """Weight of the scaled identity in Ledoit and Wolf's estimate of the covariance (2004), from its eigenvalues."""
    n, d = centred.shape
    squared = float((variances**2).sum())
    apart = (squared - variances.sum() ** 2 / d) / d
    noise = (float(((centred**2).sum(1) ** 2).sum()) / n - squared) / (n * d)
    return 0.0 if apart <= 0 else float(min(noise, apart) / apart)


def _paired(rows: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.int64]]:
    x, y = np.asarray(rows, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or y.shape != (len(x),) or not len(x):
        raise ValueError(f"rows {x.shape} and labels {y.shape} must be (samples, columns) and (samples,)")
    return x, y.astype(np.int64)
