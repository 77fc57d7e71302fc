"""Debiased CKA against its definition as a sum over quadruples, and its limits."""

from itertools import permutations

import numpy as np
import pytest

from bequeath.knowledge.similarity import cka, gram, unbiased_hsic


def alike(x, y):
    return cka(gram(x), gram(y))


def test_the_unbiased_estimate_is_the_mean_over_all_quadruples():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))
    k, m = x @ x.T, y @ y.T
    slow = np.mean([k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(7), 4)])
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    assert unbiased_hsic(k, m) == pytest.approx(slow)
    with pytest.raises(ValueError, match="needs 4"):
        unbiased_hsic(k[:3, :3], m[:3, :3])


def test_the_same_features_turned_shifted_and_scaled_are_the_same():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((30, 5)) * [5, 3, 1, 1, 1]
    turned = 7 * x @ np.linalg.qr(rng.standard_normal((5, 5)))[0] + rng.standard_normal(5)
    assert alike(x, x) == pytest.approx(1)
    assert alike(x, turned) == pytest.approx(1)
    y = x + rng.standard_normal((30, 5))
    assert alike(turned, y) == pytest.approx(alike(x, y))
    assert 0.3 < alike(x, y) < 0.99


def test_independent_features_are_at_zero_in_the_mean_however_many_there_are():
    rng = np.random.default_rng(2)
    spread = np.linspace(3, 0.1, 600)
    found, biased = [], []
    for _ in range(40):
        x, y = (rng.standard_normal((24, 600)) * spread for _ in range(2))
        found.append(alike(x, y))
        k, m = ((one - one.mean(0)) @ (one - one.mean(0)).T for one in (x, y))
        biased.append((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))
    assert np.mean(biased) > 0.9  # the biased estimate
    finite = np.array(found)[np.isfinite(found)]
    assert len(finite) > 20
    assert abs(finite.mean()) < 4 * finite.std() / np.sqrt(len(finite))


def test_features_without_structure_have_no_similarity():
    x = np.random.default_rng(3).standard_normal((20, 3))
    assert np.isnan(alike(np.zeros((20, 4)), x))
