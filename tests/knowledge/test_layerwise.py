"""Relative gradient norms, changes of weights, and the judgement of swaps."""

import numpy as np
import pytest

from bequeath.knowledge.layerwise import (
    judge,
    parts_of_sum,
    relative_change,
    relative_gradient_estimates,
    relative_gradients,
)
from bequeath.knowledge.similarity import cka_estimate, gram


def test_relative_gradients_by_hand():
    found = relative_gradients([[1.0, 4.0], [3.0, 4.0]], [2.0, 8.0])
    np.testing.assert_allclose(found, [[0.5, 0.5], [1.5, 0.5]])
    first, second = relative_gradient_estimates(found)
    assert (first.mean, second.mean, second.low, second.high) == (1.0, 0.5, 0.5, 0.5)
    # Mean 1, standard error 0.5, one degree of freedom.
    assert first.high == pytest.approx(1 + 12.7062 * 0.5, rel=1e-4)
    assert first.low == 0
    assert [part.mean for part in parts_of_sum(found)] == pytest.approx([2 / 3, 1 / 3])
    assert np.isnan(relative_gradients([[1.0]], [0.0])).all()


def test_the_interval_of_a_part_covers_it():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        values = rng.gamma(20, size=(8, 3)) * [1.0, 2.0, 5.0]
        inside += parts_of_sum(values)[2].low <= 5 / 8 <= parts_of_sum(values)[2].high
    assert 0.9 <= inside / 300 <= 0.99


def test_relative_change_by_hand():
    assert relative_change([3.0, 4.0], [3.0, 5.0]) == pytest.approx(0.2)
    assert relative_change([1.0], [1.0]) == 0
    assert np.isnan(relative_change([0.0], [1.0]))


def test_swaps_judged():
    after = np.ones(200)
    worse, little = after.copy(), after.copy()
    worse[:60] = 0
    little[:3] = 0
    found = judge(after, {"a": after, "b": worse}, after, {"a": little, "b": worse}, margin=0.02)
    assert found.needed == ("b",)
    assert found.frozen == "a"
    assert found.alone["b"].mean == pytest.approx(-0.3)
    # A later block that holds makes all blocks up to it hold.
    assert judge(after, {"a": worse, "b": after}, after, {"a": worse, "b": little}).frozen == "b"
    assert judge(after, {"a": worse}, after, {"a": worse}).frozen is None
    # Both have new heads, so the effect of a new head does not count.
    assert judge(after, {"a": worse}, worse, {"a": worse}).frozen == "a"
    assert judge(after, {"a": worse}, after, {"a": little}, margin=0.01).frozen is None


def test_similarity_with_its_interval():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 60, 5))
    groups = np.array_split(np.arange(60), 10)
    same = cka_estimate(gram(x), gram(2 * x + 1), groups)
    assert (same.mean, same.low, same.high, same.n) == pytest.approx((1, 1, 1, 60))
    other = cka_estimate(gram(x), gram(noise), groups)
    assert other.low < 0.1
    half = cka_estimate(gram(x), gram(x + noise), groups)
    assert other.high < half.low < half.mean < half.high < 1
