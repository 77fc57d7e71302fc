"""Flips between two models: counts, McNemar's exact test, flips that a twin shares."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bequeath import BequeathError
from bequeath.knowledge.forgetting import flips, flips_by_class, flips_in_twin, holm

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def test_counts():
    found = flips([1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0])
    assert (found.both, found.forgotten, found.learned, found.neither, found.n) == (2, 1, 2, 2, 7)
    assert found.change.mean == pytest.approx(1 / 7)
    assert found.change.low <= 1 / 7 <= found.change.high


@given(ANSWERS)
def test_p_is_that_of_tossed_coins(answers):
    before, after = zip(*answers, strict=True)
    found = flips(before, after)
    flipped = found.forgotten + found.learned
    # Both tails, added up term by term.
    fewer = min(found.forgotten, found.learned)
    tail = sum(comb(flipped, k) for k in range(fewer + 1)) / 2**flipped
    assert found.p == pytest.approx(min(1.0, 2 * tail))


@given(ANSWERS)
def test_the_other_way_round_forgotten_is_learned(answers):
    before, after = zip(*answers, strict=True)
    one, other = flips(before, after), flips(after, before)
    assert (one.forgotten, one.learned) == (other.learned, other.forgotten)
    assert one.p == other.p
    assert one.change.mean == pytest.approx(-other.change.mean)


def test_models_that_differ_by_chance_are_told_so():
    """Without a difference, p is at most 5% in at most 5% of studies; the exact test may be conservative."""
    rng = np.random.default_rng(0)
    right = rng.random((300, 200)) < 0.7
    p = []
    for row in right:
        noise = rng.random((2, 200)) < 0.1  # both models flip a tenth of the answers of the same teacher
        p.append(flips(row ^ noise[0], row ^ noise[1]).p)
    assert 0.01 < np.mean(np.asarray(p) <= 0.05) < 0.07


def test_by_class_and_holm():
    before = [1, 1, 1, 1, 1, 1, 0, 0]
    after = [0, 0, 0, 0, 0, 0, 0, 1]
    found = flips_by_class(before, after, [4, 4, 4, 4, 4, 4, 2, 2])
    assert list(found) == [2, 4]
    assert (found[4].forgotten, found[2].learned) == (6, 1)
    assert found[4].p == pytest.approx(2 * 2 / 2**6)  # twice, for the two classes
    assert found[2].p == 1.0
    # By hand: 0.01 * 3, 0.02 * 2, then 0.5 * 1; none falls below the one before.
    assert holm([0.02, 0.01, 0.5]) == pytest.approx([0.04, 0.03, 0.5])
    assert holm([0.01, 0.011, 0.012]) == pytest.approx([0.03, 0.03, 0.03])


def test_flips_that_a_twin_shares():
    before, after, twin = [1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0]
    assert flips_in_twin(before, after, twin) == (1, 1)
    assert flips_in_twin(before, after, after) == (2, 2)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([], [], "give 1 or 0 for each of the same samples"),
        ([1, 0], [1], "shape"),
        ([1, 2], [1, 0], "other than 0 and 1"),
        ([1, float("nan")], [1, 0], "other than 0 and 1"),
    ],
)
def test_bad_answers(before, after, message):
    with pytest.raises(BequeathError, match=message):
        flips(before, after)
