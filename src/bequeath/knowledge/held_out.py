"""Cross-validated predictions of a simple classifier on frozen features: which samples it gets right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEIGHBOURS = 5

Classify = Callable[[NDArray[Any], NDArray[np.int64], NDArray[Any]], NDArray[np.int64]]
"""From training features, training labels and features to classify, to the predicted labels."""


def folds(labels: ArrayLike, count: int, seed: int) -> list[NDArray[np.int64]]:
    """Stratified folds: parts of the samples, each with the classes in the same proportion.

    Parameters
    ----------
    labels : array_like of int
        (samples,), each class at least `count` times.
    count : int
        Number of folds.
    seed : int
        The same seed gives the same folds for all models, so that models are compared in pairs.

    Returns
    -------
    list of ndarray
        Indices of the samples in each fold; each sample is in one fold.
    """
    from sklearn.model_selection import StratifiedKFold

    y = np.asarray(labels)
    parts = StratifiedKFold(count, shuffle=True, random_state=seed).split(np.zeros((len(y), 1)), y)
    return [held_out for _, held_out in parts]


def held_out_correct(
    features: ArrayLike, labels: ArrayLike, parts: list[NDArray[np.int64]], classify: Classify
) -> NDArray[np.float64]:
    """Whether each sample is classified correctly by a classifier that was trained on the other folds.

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
        1 or 0 for each sample, (samples,). The mean is the accuracy: 0 to 1, higher is better; its chance level is the
        share of the largest class.
    """
    x, y = np.asarray(features), np.asarray(labels, dtype=np.int64)
    correct = np.zeros(len(y))
    for part in parts:
        training = np.setdiff1d(np.arange(len(y)), part)
        correct[part] = classify(x[training], y[training], x[part]) == y[part]
    return correct


def nearest_neighbours(
    features: NDArray[Any], labels: NDArray[np.int64], queries: NDArray[Any]
) -> NDArray[np.int64]:
    """The most frequent class among the five nearest samples by cosine distance; the first class in a tie.

    Parameters
    ----------
    features, labels : ndarray
        Labelled samples: (samples, features) and (samples,). With fewer than five, all of them vote.
    queries : ndarray
        Features to classify, (queries, features).

    Returns
    -------
    ndarray
        Predicted labels, (queries,).
    """
    from sklearn.neighbors import KNeighborsClassifier

    count = min(NEIGHBOURS, len(labels))
    classifier = KNeighborsClassifier(count, metric="cosine").fit(features, labels)
    return np.asarray(classifier.predict(queries), dtype=np.int64)
