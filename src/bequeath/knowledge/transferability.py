"""How well features that a model has already fit new labels, without any training: LogME, LEEP, H-score.

Of each, a higher value promises a better fine-tuned model. Few samples and many features make all of them larger,
whatever the features say: beside each value stands what the same features have with the labels in random order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# The evidence is flat beyond: e**±30 times the mean squared singular value.
_WIDEST = 30.0
_GRID, _ZOOMS = 61, 8
# Singular values below this share of the largest are rounding: features are float32.
_RANK = 1e-6
PERMUTATIONS = 20


@dataclass(frozen=True)
class Score:
    """A measure's value, and its mean over labels in random order: NaN where none were asked for."""

    value: float
    reference: float


def one_hot(labels: ArrayLike) -> Array:
    """Labels 0 .. classes - 1 as rows of zeros with a one: (samples, classes)."""
    y = np.asarray(labels)
    return np.asarray(np.eye(int(y.max()) + 1)[y])


def logme(
    features: ArrayLike, labels: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Score:
    """The logarithm of the maximum evidence of a Bayesian linear model, per sample (You et al. 2021, LogME).

    Of each class, the one-hot label is a linear function of the features with Gaussian weights (precision alpha) and
    Gaussian noise (precision beta); the evidence is maximised over both. For a given ratio t = alpha / beta the best
    beta is known, so that a search over t alone is left. It is done on a grid that is refined: unlike the paper's
    fixed-point iteration it cannot stop early where the features outnumber the samples.

    Parameters
    ----------
    features : array_like
        (samples, features), any unit; not centred, as in the paper.
    labels : array_like of int
        (samples,), 0 .. classes - 1, each class at least once.
    permutations, seed : int
        How many random orders of the labels give the reference, and their seed.

    Returns
    -------
    Score
        In nats per sample, mean over the classes. Higher is better. It is a density's logarithm and may be above 0.

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
        # What no linear function of the features can give; rounding can make it negative.
        rest = np.maximum(targets.sum(0) - z.sum(0), 0.0)
        return float(np.mean([_highest(scaled, z[:, k], rest[k], n) for k in range(len(rest))]) / n)

    return _with_reference(score, n, permutations, seed)


def _highest(squares: Array, z: Array, rest: float, n: int) -> float:
    """The evidence of one class at its best ratio t."""
    low, high = -_WIDEST, _WIDEST
    for _ in range(_ZOOMS):
        grid = np.linspace(low, high, _GRID)
        found = _evidence(squares, z[:, None], np.array([rest]), n, np.exp(grid))[:, 0]
        best, step = int(found.argmax()), grid[1] - grid[0]
        low, high = grid[best] - step, grid[best] + step
    return float(found.max())


def _evidence(squares: Array, z: Array, rest: Array, n: int, t: Array) -> Array:
    """Log evidence of each class for each ratio t, at the best beta.

    `squares` are squared singular values (rank,), `z` squares of the targets along their directions (rank, classes),
    `rest` those in no such direction (classes,), `t` (ratios,). Gives (ratios, classes).
    """
    shrunk = t[:, None] / (t[:, None] + squares)
    # No less than rounding: labels that the features give exactly leave nothing.
    error = np.maximum(rest + shrunk @ z, 1e-12 * n)
    fit = 0.5 * n * (np.log(n / error) - 1 - np.log(2 * np.pi))
    return np.asarray(fit + 0.5 * np.log(shrunk).sum(1)[:, None])


def leep(
    probabilities: ArrayLike, labels: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Score:
    """How well the source classes that a model names predict the new labels (Nguyen et al. 2020, LEEP).

    The model's probabilities of its own classes z are counted against the labels y: P(y | z). A sample's label is then
    predicted by the mean of P(y | z) over its own probabilities.

    Parameters
    ----------
    probabilities : array_like
        (samples, source classes), rows of at least 0 that sum to 1.
    labels : array_like of int
        (samples,), 0 .. classes - 1.
    permutations, seed : int
        How many random orders of the labels give the reference, and their seed.

    Returns
    -------
    Score
        The mean log-probability of the labels in nats: from minus their entropy, where the head gives every sample the
        same, to 0. Higher is better.

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
        given = (p.T @ targets[order]) / totals[:, None]  # P(y | z): (source classes, classes)
        return float(np.log((p @ given)[np.arange(len(y)), y[order]]).mean())

    return _with_reference(score, len(y), permutations, seed)


def h_score(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    shrink: bool = True,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Score:
    """How far the classes' mean features lie apart, in units of the features' spread (Bao et al. 2019, H-score).

    tr(S^-1 M): S is the covariance of the features, M that of the means of their classes. With more features than
    samples S has no inverse, and near that the score measures noise. Shrunk, S is Ledoit and Wolf's estimate, and M is
    shrunk by the same factor 1 - w (Ibrahim et al. 2022).

    Parameters
    ----------
    features : array_like
        (samples, features), any unit.
    labels : array_like of int
        (samples,), 0 .. classes - 1.
    shrink : bool
        False: the score as first published, with the pseudo-inverse of S.
    permutations, seed : int
        How many random orders of the labels give the reference, and their seed.

    Returns
    -------
    Score
        Without unit, 0 to classes - 1. Higher is better.

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
    """A score of the labels in their own order, and its mean over random ones."""
    rng = np.random.default_rng(seed)
    by_chance = [score(rng.permutation(n)) for _ in range(permutations)]
    return Score(score(np.arange(n)), float(np.mean(by_chance)) if by_chance else float("nan"))


def _directions(x: Array) -> tuple[Array, Array]:
    """Left singular vectors (samples, rank) and squared singular values (rank,), without those that are rounding.

    From the eigenvalues of the smaller product, several times faster than the singular values themselves.
    """
    wide = x.shape[1] > len(x)
    squares, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    some = squares > _RANK**2 * squares.max(initial=0)
    squares, vectors = squares[some], vectors[:, some]
    return (vectors if wide else x @ vectors / np.sqrt(squares)), squares


def _ledoit_wolf(centred: Array, variances: Array) -> float:
    """The weight of the sphere in Ledoit and Wolf's covariance (2004), from the covariance's eigenvalues."""
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
