"""Which samples a simple classifier on frozen features gets right, each predicted without having been seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEIGHBOURS = 5

Classify = Callable[[NDArray[Any], NDArray[np.int64], NDArray[Any]], NDArray[np.int64]]
"""Features and labels to learn from, features to classify -> their labels."""


def folds(labels: ArrayLike, count: int, seed: int) -> list[NDArray[np.int64]]:
    """Parts of the samples, each with the classes in the proportion of all.

    Parameters
    ----------
    labels : array_like of int
        (samples,), each class at least `count` times.
    count : int
        How many parts.
    seed : int
        The same seed gives the same parts, whatever the features: so models are compared in pairs.

    Returns
    -------
    list of ndarray
        Indices; together every sample once.
    """
    from sklearn.model_selection import StratifiedKFold

    y = np.asarray(labels)
    parts = StratifiedKFold(count, shuffle=True, random_state=seed).split(np.zeros((len(y), 1)), y)
    return [held_out for _, held_out in parts]


def held_out_correct(
    features: ArrayLike, labels: ArrayLike, parts: list[NDArray[np.int64]], classify: Classify
) -> NDArray[np.float64]:
    """Whether each sample is classified correctly by what was learned from the other parts.

    Parameters
    ----------
    features : array_like
        (samples, features).
    labels : array_like of int
        (samples,).
    parts : list of ndarray
        From `folds`.
    classify : callable
        `nearest_neighbours`, or a probe.

    Returns
    -------
    ndarray
        1 or 0 for each sample, (samples,). Its mean is the accuracy: 0 to 1, higher is better, to be held against the
        share of the largest class.
    """
    x, y = np.asarray(features), np.asarray(labels, dtype=np.int64)
    correct = np.zeros(len(y))
    for part in parts:
        rest = np.setdiff1d(np.arange(len(y)), part)
        correct[part] = classify(x[rest], y[rest], x[part]) == y[part]
    return correct


def nearest_neighbours(
    features: NDArray[Any], labels: NDArray[np.int64], given: NDArray[Any]
) -> NDArray[np.int64]:
    """The class that most of the five nearest samples have, by the angle between features; in a tie the first class.

    Parameters
    ----------
    features, labels : ndarray
        (samples, features) and (samples,), to look among; of fewer than five samples all are asked.
    given : ndarray
        (others, features).

    Returns
    -------
    ndarray
        (others,).
    """
    from sklearn.neighbors import KNeighborsClassifier

    count = min(NEIGHBOURS, len(labels))
    found = KNeighborsClassifier(count, metric="cosine").fit(features, labels).predict(given)
    return np.asarray(found, dtype=np.int64)
