"""{i} + {j} equals AND{i, j} + OR{i, j}: readings use one name, and the values do not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bequeath as bq
from bequeath.lattice.sparse.naming import exchangeable, rename, renamed
from bequeath.lattice.sparse.terms import all_terms

N = 4
TERMS = all_terms(N, 3)
FOURS = exchangeable(TERMS)
SHOWN = ((np.arange(2**N)[:, None] >> np.arange(N)) & 1).astype(bool)


def columns():
    found = []
    for players, kind in zip(TERMS.players, TERMS.kinds, strict=True):
        inside = SHOWN[:, [p for p in players if p >= 0]]
        found.append(inside.any(1) if kind else inside.all(1))
    return np.stack(found, 1).astype(float)


COLUMNS = columns()
coefficients = st.lists(
    st.one_of(st.just(0.0), st.integers(-8, 8).map(lambda x: x / 4)), min_size=len(TERMS), max_size=len(TERMS)
).map(np.array)


def test_all_pairs_have_two_names():
    assert len(FOURS) == 6
    for i, j, both, either in FOURS:
        assert COLUMNS[:, i] + COLUMNS[:, j] == pytest.approx(COLUMNS[:, both] + COLUMNS[:, either])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(coefficients)
def test_a_name_changes_no_value_and_is_no_longer(b):
    row = b[None].copy()
    rename(row, FOURS)
    assert COLUMNS @ row[0] == pytest.approx(COLUMNS @ b)
    assert np.abs(row).sum() <= np.abs(b).sum() + 1e-12
    again = row.copy()
    rename(again, FOURS)
    assert (again == row).all()


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.tuples(*[st.integers(1, 8)] * 3))
def test_two_names_of_one_pair_become_one(sizes):
    first, second, moved = sizes
    i, j, both, either = FOURS[0]
    single = np.zeros((1, len(TERMS)))
    single[0, [i, j]] = first, second
    other = single.copy()
    t = min(moved, first, second)
    other[0, [i, j]] -= t
    other[0, [both, either]] += t
    rename(single, FOURS)
    rename(other, FOURS)
    assert other == pytest.approx(single)
    assert single[0, either] == 0


def test_the_shorter_name_is_kept():
    i, either = FOURS[0, [0, 3]]
    members, values = renamed(np.array([i, either]), np.array([-1.0, 2.0]), len(TERMS), FOURS)
    assert sorted(zip(members.tolist(), values.tolist(), strict=True)) == sorted(
        [(int(i), -1.0), (int(either), 2.0)]
    )


def test_a_fit_of_a_sum_of_players_has_players_alone():
    masks = bq.draw_masks(6, 64)
    shown = masks.double()
    found = bq.fit(masks, 2 * shown[:, 0] + 3 * shown[:, 1] - shown[:, 4], 2, resamples=0)
    assert {(term.players, term.kind) for term in found.terms()} == {
        ((0,), "and"),
        ((1,), "and"),
        ((4,), "and"),
    }
