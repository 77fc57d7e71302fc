"""LogME, LEEP and the H-score against slow implementations of their definitions, and at their limits."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from bequeath.knowledge.transferability import h_score, leep, logme


def planted(n, d, classes, strength, seed=0):
    """Features with the classes' means apart by `strength`, and balanced labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    mixed = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / np.sqrt(d)
    return mixed + strength * rng.standard_normal((classes, d))[y], y


def maximum_evidence(f, target):
    """The density of the labels under both priors, maximised directly."""

    def loss(logs):
        alpha, beta = np.exp(logs)
        covariance = np.eye(len(f)) / beta + f @ f.T / alpha
        return -multivariate_normal(np.zeros(len(f)), covariance).logpdf(target)

    starts = ([0.0, 0.0], [3.0, 1.0], [-3.0, 2.0])
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000}
    return max(-minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts)


@pytest.mark.parametrize(("n", "d", "classes"), [(20, 3, 2), (21, 3, 3), (16, 40, 2)])
def test_logme_is_the_maximum_of_the_evidence(n, d, classes):
    f, y = planted(n, d, classes, 0.5)
    slow = np.mean([maximum_evidence(f, (y == k).astype(float)) for k in range(classes)]) / n
    assert logme(f, y).value == pytest.approx(slow, abs=2e-6)


def test_logme_does_not_depend_on_the_features_scale_or_rotation():
    f, y = planted(40, 6, 3, 1.0)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    assert logme(1e3 * f @ rotation, y).value == pytest.approx(logme(f, y).value, abs=1e-9)


def test_leep_of_tables_by_hand():
    # Source class 0 always has label 0; source class 1 has it in half of the samples.
    sure = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    assert leep(sure, [0, 0, 0, 1]).value == pytest.approx(np.log(0.5) / 2)
    # P(0 | z) = (0.8 + 0.6) / 1.7 and (0.2 + 0.4) / 1.3.
    soft, y = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]), [0, 0, 1]
    given = np.array([1.4 / 1.7, 0.6 / 1.3])
    hand = [np.log(soft[0] @ given), np.log(soft[1] @ given), np.log(soft[2] @ (1 - given))]
    assert leep(soft, y).value == pytest.approx(np.mean(hand))


def test_leep_is_the_labels_entropy_where_the_head_says_nothing_and_zero_where_it_says_all():
    y = np.array([0, 0, 0, 1, 2, 2])
    shares = np.array([3, 1, 2]) / 6
    same = leep(np.full((6, 5), 0.2), y)
    assert same.value == pytest.approx(shares @ np.log(shares))
    assert same.reference == pytest.approx(same.value)
    assert leep(np.eye(3)[y], y).value == pytest.approx(0)
    # A source class without samples must not divide by zero.
    assert leep(np.eye(4)[y], y).value == pytest.approx(0)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (30, 100)])
def test_the_shrunk_h_score_is_that_of_ledoit_and_wolfs_covariance(n, d):
    f, y = planted(n, d, 3, 0.7)
    fitted = LedoitWolf().fit(f)
    means = np.stack([f[y == label].mean(0) for label in y]) - f.mean(0)
    between = (1 - fitted.shrinkage_) * means.T @ means / n
    assert h_score(f, y).value == pytest.approx(np.trace(np.linalg.solve(fitted.covariance_, between)))


def test_the_published_h_score_says_nothing_with_more_features_than_samples():
    f, y = planted(30, 100, 3, 0.0)
    plain = h_score(f, y, shrink=False)
    assert plain.value == pytest.approx(2)  # classes - 1 for any features
    assert plain.reference == pytest.approx(2)
    low, y_low = planted(60, 4, 3, 0.7)
    centred = low - low.mean(0)
    means = np.stack([low[y_low == label].mean(0) for label in y_low]) - low.mean(0)
    explicit = np.trace(np.linalg.inv(centred.T @ centred) @ (means.T @ means))
    assert h_score(low, y_low, shrink=False).value == pytest.approx(explicit)


@pytest.mark.parametrize("score", [logme, h_score])
def test_features_that_say_more_score_higher_and_those_that_say_nothing_score_as_by_chance(score):
    values = [score(*planted(120, 10, 3, strength)).value for strength in (0.0, 0.5, 2.0)]
    assert values == sorted(values)
    nothing = [score(*planted(120, 10, 3, 0.0, seed)) for seed in range(20)]
    gaps = np.array([one.value - one.reference for one in nothing])
    assert abs(gaps.mean()) < 4 * gaps.std() / np.sqrt(len(gaps))
    told = score(*planted(120, 10, 3, 2.0))
    assert told.value > told.reference + 4 * gaps.std()


def test_features_that_are_all_the_same():
    y = np.arange(12) % 3
    with pytest.raises(ValueError, match="the same features"):
        h_score(np.full((12, 4), 0.1), y)
    same = logme(np.full((12, 4), 0.1), y)
    assert same.value == pytest.approx(same.reference)
    assert np.isfinite(logme(np.zeros((12, 4)), y).value)
    with pytest.raises(ValueError, match="must be"):
        logme(np.zeros((12, 4)), y[:5])


def test_labels_that_the_features_give_exactly():
    y = np.arange(40) % 2
    assert np.isfinite(logme(np.eye(2)[y], y).value)
    assert logme(np.eye(2)[y], y).value > logme(*planted(40, 2, 2, 1.0)).value
