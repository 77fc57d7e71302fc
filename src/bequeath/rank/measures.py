"""Everything that is measured of each candidate: values with intervals, what they would be by chance, and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bequeath.knowledge.held_out import folds, held_out_correct, nearest_neighbours
from bequeath.knowledge.jackknife import jackknife
from bequeath.knowledge.similarity import cka, gram
from bequeath.knowledge.statistics import mean_estimate
from bequeath.knowledge.transferability import PERMUTATIONS, Score, h_score, leep, logme
from bequeath.models.probe import fit_probe
from bequeath.rank.features import Features

# Similarity is computed from all pairs of samples: of these, two million.
MOST_PAIRED = 2000
_GROUPS = 10

Labels = NDArray[np.int64]

BOOTSTRAP = "95%, BCa bootstrap over samples, each predicted by the folds that it is not in"
JACKKNIFE = f"95%, jackknife over {_GROUPS} groups of samples, or as many as the smallest class has samples"
BY_CHANCE = f"mean over {PERMUTATIONS} random orders of the labels"
ABOUT: Mapping[str, Mapping[str, str]] = {
    "probe": {
        "title": "linear probe",
        "unit": "share of samples classified correctly",
        "reference": "share of the largest class",
        "interval": BOOTSTRAP,
    },
    "knn": {
        "title": "5 nearest neighbours",
        "unit": "share of samples classified correctly",
        "reference": "share of the largest class",
        "interval": BOOTSTRAP,
    },
    "logme": {
        "title": "LogME",
        "unit": "nats per sample",
        "reference": BY_CHANCE,
        "interval": JACKKNIFE,
    },
    "leep": {
        "title": "LEEP",
        "unit": "nats per sample",
        "reference": BY_CHANCE,
        "interval": JACKKNIFE,
    },
    "h_score": {
        "title": "shrunk H-score",
        "unit": "none",
        "reference": BY_CHANCE,
        "interval": JACKKNIFE,
    },
}
"""What is to be known of each measure; of all of them higher is better."""


@dataclass(frozen=True)
class Measure:
    """One figure of one candidate.

    Attributes
    ----------
    value, low, high : float or None
        With its 95% interval.
    reference : float or None
        What it is where nothing is known of the labels.
    n : int
        Samples.
    seconds : float
        With its interval.
    reason : str or None
        Why there is no value.
    """

    value: float | None
    low: float | None
    high: float | None
    reference: float | None
    n: int
    seconds: float
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """All of one candidate; `correct` has for each sample whether the probe is right."""

    measures: Mapping[str, Measure]
    correct: NDArray[np.float64]


def measure(found: Features, no_source: str | None, labels: Labels, count: int, seed: int) -> Measured:
    """Measure one candidate.

    Parameters
    ----------
    found : Features
    no_source : str or None
        Why there are no logits of source classes.
    labels : ndarray
        (samples,).
    count : int
        Folds.
    seed : int
        Of folds, groups and the probe.
    """
    x, n = found.features.astype(np.float64), len(labels)
    parts, groups = folds(labels, count, seed), _groups(labels, seed)
    measures: dict[str, Measure] = {}
    begin = time.perf_counter()
    correct = held_out_correct(x, labels, parts, _probe(seed))
    measures["probe"] = _accuracy(correct, labels, begin)
    begin = time.perf_counter()
    measures["knn"] = _accuracy(held_out_correct(x, labels, parts, nearest_neighbours), labels, begin)
    scores: dict[str, Callable[[Labels, int], Score]] = {
        "logme": lambda some, many: logme(x[some], labels[some], permutations=many, seed=seed),
        "h_score": lambda some, many: h_score(x[some], labels[some], permutations=many, seed=seed),
    }
    if found.logits is None:
        measures["leep"] = Measure(None, None, None, None, n, 0.0, no_source)
    else:
        probabilities = softmax(found.logits.astype(np.float64), axis=1)
        scores["leep"] = lambda some, many: leep(
            probabilities[some], labels[some], permutations=many, seed=seed
        )
    for name, score in scores.items():
        measures[name] = _score(score, groups, n)
    return Measured({name: measures[name] for name in ABOUT}, correct)


def similarities(found: Mapping[str, Features], seed: int) -> list[dict[str, Any]]:
    """Debiased linear CKA of each pair of candidates, over 2,000 samples at most: names, value, interval, seconds."""
    order = np.random.default_rng(seed).permutation(len(next(iter(found.values())).features))
    some = np.sort(order[:MOST_PAIRED])
    grams = {name: gram(one.features[some]) for name, one in found.items()}
    groups = np.array_split(np.random.default_rng(seed).permutation(len(some)), min(_GROUPS, len(some)))
    names, rows = list(found), []
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            pair = (grams[first], grams[second])

            def alike(kept: Labels, pair: tuple[Any, Any] = pair) -> float:
                return cka(*(one[np.ix_(kept, kept)] for one in pair))

            one = _score(lambda kept, _: Score(alike(kept), 0.0), groups, len(some))
            if one.value is None:
                one = replace(one, reason="the features of one show no structure above noise")
            rows.append({"first": first, "second": second, **vars(one)})
    return rows


def _probe(seed: int) -> Callable[[NDArray[Any], Labels, NDArray[Any]], Labels]:
    def classify(features: NDArray[Any], labels: Labels, given: NDArray[Any]) -> Labels:
        weight, bias = fit_probe(features, labels, seed)
        return np.asarray((given @ weight.T + bias).argmax(1), dtype=np.int64)

    return classify


def _groups(labels: Labels, seed: int) -> list[Labels]:
    return folds(labels, min(_GROUPS, int(np.bincount(labels).min())), seed)


def _accuracy(correct: NDArray[np.float64], labels: Labels, begin: float) -> Measure:
    estimate = mean_estimate(correct)
    majority = float(np.bincount(labels).max() / len(labels))
    seconds = time.perf_counter() - begin
    return Measure(estimate.mean, estimate.low, estimate.high, majority, len(labels), seconds)


def _score(score: Callable[[Labels, int], Score], groups: list[Labels], n: int) -> Measure:
    """A score of samples, by chance too, from a function that is given samples and a number of permutations."""
    begin = time.perf_counter()
    try:
        whole = score(np.arange(n), PERMUTATIONS)
        low, high = jackknife(lambda some: score(some, 0).value, groups, whole.value)
    except ValueError as error:
        return Measure(None, None, None, None, n, time.perf_counter() - begin, str(error))
    numbers = [float(one) if np.isfinite(one) else None for one in (whole.value, low, high, whole.reference)]
    return Measure(numbers[0], numbers[1], numbers[2], numbers[3], n, time.perf_counter() - begin)
