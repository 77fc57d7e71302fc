"""All measures of a candidate: values with intervals, chance levels, and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bequeath.errors import BequeathError
from bequeath.knowledge.held_out import folds, held_out_correct, nearest_neighbours
from bequeath.knowledge.jackknife import jackknife
from bequeath.knowledge.similarity import cka, gram
from bequeath.knowledge.statistics import mean_estimate
from bequeath.knowledge.transferability import PERMUTATIONS, Score, h_score, leep, logme
from bequeath.models.probe import fit_probe
from bequeath.rank.features import Features
from bequeath.rank.own_measures import OwnMeasure, own_score

# Similarity compares all pairs of samples: two million pairs of 2,000 samples.
MOST_PAIRED = 2000
_GROUPS = 10

Labels = NDArray[np.int64]

BOOTSTRAP = "95%, BCa bootstrap over samples; each sample is predicted from the folds that do not hold it"
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
    "h_score": {
        "title": "shrunk H-score",
        "unit": "none",
        "reference": BY_CHANCE,
        "interval": JACKKNIFE,
    },
    "leep": {
        "title": "LEEP",
        "unit": "nats per sample",
        "reference": BY_CHANCE,
        "interval": JACKKNIFE,
    },
}
"""Title, unit, chance level and kind of interval of each measure. Higher is better for all of them."""


@dataclass(frozen=True)
class Measure:
    """One measure of one candidate.

    Attributes
    ----------
    value, low, high : float or None
        The value and its 95% interval.
    reference : float or None
        The chance level: its value if the features say nothing about the labels.
    n : int
        Number of samples.
    seconds : float
        Time to compute the value and its interval.
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
    """All measures of one candidate. `correct` (samples,) is 1 where the linear probe is right, else 0."""

    measures: Mapping[str, Measure]
    correct: NDArray[np.float64]


def about(own: Iterable[str]) -> dict[str, Mapping[str, str]]:
    """As `ABOUT`, with measures of the user's own after the others."""
    title = {"unit": "its own", "reference": BY_CHANCE, "interval": JACKKNIFE}
    return dict(ABOUT) | {name: {"title": name.rpartition(":")[2]} | title for name in own}


def measure(
    computed: Features,
    no_source: str | None,
    labels: Labels,
    count: int,
    seed: int,
    own: Mapping[str, OwnMeasure] = MappingProxyType({}),
) -> Measured:
    """Measure one candidate.

    Parameters
    ----------
    computed : Features
        Features and logits of the samples.
    no_source : str or None
        Why there are no logits of source classes.
    labels : ndarray
        int64, (samples,).
    count : int
        Number of folds.
    seed : int
        Of folds, groups and the probe.
    own : mapping of str to callable
        Measures of the user's own, by name.
    """
    x, n = computed.features.astype(np.float64), len(labels)
    parts, groups = folds(labels, count, seed), _groups(labels, seed)
    measures: dict[str, Measure] = {}
    begin = time.perf_counter()
    correct = held_out_correct(x, labels, parts, _probe(seed))
    measures["probe"] = _accuracy(correct, labels, begin)
    begin = time.perf_counter()
    measures["knn"] = _accuracy(held_out_correct(x, labels, parts, nearest_neighbours), labels, begin)
    scores: dict[str, Callable[[Labels, int], Score]] = {
        "logme": lambda chosen, count: logme(x[chosen], labels[chosen], permutations=count, seed=seed),
        "h_score": lambda chosen, count: h_score(x[chosen], labels[chosen], permutations=count, seed=seed),
    }
    if computed.logits is None:
        measures["leep"] = Measure(None, None, None, None, n, 0.0, no_source)
    else:
        probabilities = softmax(computed.logits.astype(np.float64), axis=1)
        scores["leep"] = lambda chosen, count: leep(
            probabilities[chosen], labels[chosen], permutations=count, seed=seed
        )
    for name, function in own.items():
        scores[name] = lambda chosen, count, name=name, function=function: own_score(  # type: ignore[misc]
            name, function, x[chosen], labels[chosen], count, seed
        )
    for name, score in scores.items():
        measures[name] = _score(score, groups, n)
    return Measured({name: measures[name] for name in about(own)}, correct)


def similarities(computed: Mapping[str, Features], seed: int) -> list[dict[str, Any]]:
    """Debiased linear CKA of each pair of candidates, over at most 2,000 samples.

    Parameters
    ----------
    computed : mapping of str to Features
        By the candidate's name.
    seed : int
        Of the choice of samples and of the jackknife's groups.

    Returns
    -------
    list of dict
        A row per pair: ``first`` and ``second`` (names), and the fields of a `Measure`.
    """
    order = np.random.default_rng(seed).permutation(len(next(iter(computed.values())).features))
    chosen = np.sort(order[:MOST_PAIRED])
    grams = {name: gram(candidate.features[chosen]) for name, candidate in computed.items()}
    groups = np.array_split(np.random.default_rng(seed).permutation(len(chosen)), min(_GROUPS, len(chosen)))
    rows = []
    for first, second in combinations(computed, 2):

        def score(kept: Labels, _: int, pair: tuple[str, str] = (first, second)) -> Score:
            return Score(cka(*(grams[name][np.ix_(kept, kept)] for name in pair)), 0.0)

        measured = _score(score, groups, len(chosen))
        if measured.value is None:
            measured = replace(measured, reason="the features of one show no structure above noise")
        rows.append({"first": first, "second": second, **vars(measured)})
    return rows


def _probe(seed: int) -> Callable[[NDArray[Any], Labels, NDArray[Any]], Labels]:
    def classify(features: NDArray[Any], labels: Labels, held_out: NDArray[Any]) -> Labels:
        weight, bias = fit_probe(features, labels, seed)
        return np.asarray((held_out @ weight.T + bias).argmax(1), dtype=np.int64)

    return classify


def _groups(labels: Labels, seed: int) -> list[Labels]:
    return folds(labels, min(_GROUPS, int(np.bincount(labels).min())), seed)


def _accuracy(correct: NDArray[np.float64], labels: Labels, begin: float) -> Measure:
    estimate = mean_estimate(correct)
    majority = float(np.bincount(labels).max() / len(labels))
    seconds = time.perf_counter() - begin
    return Measure(estimate.mean, estimate.low, estimate.high, majority, len(labels), seconds)


def _score(score: Callable[[Labels, int], Score], groups: list[Labels], n: int) -> Measure:
    """A measure from a function of sample indices and a number of label permutations, which give the chance level."""
    begin = time.perf_counter()
    try:
        whole = score(np.arange(n), PERMUTATIONS)
        low, high = jackknife(lambda chosen: score(chosen, 0).value, groups, whole.value)
    except BequeathError:  # a measure of the user's own is wrong
        raise
    except ValueError as error:
        return Measure(None, None, None, None, n, time.perf_counter() - begin, str(error))
    value, lower, upper, reference = (
        float(number) if np.isfinite(number) else None for number in (whole.value, low, high, whole.reference)
    )
    return Measure(value, lower, upper, reference, n, time.perf_counter() - begin)
