"""Held-out accuracies against scikit-learn's own cross-validation, and their paired comparison."""

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from bequeath.knowledge.held_out import folds, held_out_correct, nearest_neighbours
from bequeath.knowledge.jackknife import jackknife
from bequeath.knowledge.paired import paired_difference, ranking


def test_folds_have_every_sample_once_and_the_classes_in_proportion():
    y = np.array([0] * 10 + [1] * 20)
    parts = folds(y, 5, 0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(30))
    assert {tuple(np.bincount(y[part])) for part in parts} == {(2, 4)}
    assert all(np.array_equal(a, b) for a, b in zip(parts, folds(y, 5, 0), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(parts, folds(y, 5, 1), strict=True))


def test_neighbours_are_asked_as_scikit_learn_asks_them():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.standard_normal((60, 4)) + rng.standard_normal((3, 4))[y]
    parts = folds(y, 5, 0)
    number = np.empty(60, dtype=int)
    for place, part in enumerate(parts):
        number[part] = place
    predicted = cross_val_predict(KNeighborsClassifier(5, metric="cosine"), x, y, cv=PredefinedSplit(number))
    found = held_out_correct(x, y, parts, nearest_neighbours)
    np.testing.assert_array_equal(found, predicted == y)
    assert 0.4 < found.mean() < 1


def test_no_sample_is_classified_by_what_was_learned_from_itself():
    y = np.arange(12) % 2
    x = np.arange(12.0)[:, None]

    def remembers(features, labels, given):
        assert not set(given[:, 0]) & set(features[:, 0])
        return np.zeros(len(given), dtype=np.int64)

    assert held_out_correct(x, y, folds(y, 3, 0), remembers).mean() == 0.5


def test_the_jackknife_of_a_mean_is_the_t_interval():
    x = np.random.default_rng(0).exponential(size=25)
    low, high = jackknife(lambda some: float(x[some].mean()), [np.array([i]) for i in range(25)], x.mean())
    expected = stats.t.interval(0.95, 24, x.mean(), x.std(ddof=1) / 5)
    assert (low, high) == pytest.approx(expected)


def test_paired_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        which = rng.choice(4, size=150, p=[0.6, 0.25, 0.1, 0.05])
        first, second = (which != 1) & (which != 3), (which != 1) & (which != 2)
        found = paired_difference(first, second)  # only the first is right: 0.1, only the second: 0.05
        covered += found.low <= 0.05 <= found.high
        assert found.low <= found.mean <= found.high
    assert 0.93 < covered / 1000 < 0.98


@pytest.mark.parametrize("more", range(1, 12))
def test_few_samples_that_differ_are_not_clear_where_the_exact_test_says_so(more):
    first, second = np.zeros(100), np.zeros(100)
    first[:more] = 1
    clear = paired_difference(first, second).low > 0
    exact = stats.binomtest(more, more).pvalue < 0.05
    assert clear == exact


def test_more_comparisons_are_surer_of_less():
    first, second = np.ones(60), np.r_[np.zeros(9), np.ones(51)]
    alone, of_twenty = (paired_difference(first, second, count) for count in (1, 20))
    assert of_twenty.low < alone.low < alone.mean == of_twenty.mean == pytest.approx(0.15)
    assert alone.low > 0


def test_the_ranking_names_those_that_are_not_clearly_behind():
    best = np.r_[np.ones(90), np.zeros(10)]
    near = np.r_[np.ones(88), np.zeros(12)]
    far = np.r_[np.ones(40), np.zeros(60)]
    found = ranking({"far": far, "near": near, "best": best})
    assert found.order == ("best", "near", "far")
    assert found.not_apart == ("near",)
    assert found.behind["far"].mean == pytest.approx(0.5)
    assert set(found.behind) == {"near", "far"}
    assert ranking({"a": best, "b": best}).not_apart == ("b",)
