"""Changes of an output, and the check by hiding, on games whose truth is known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bequeath as bq
from bequeath import BequeathError
from bequeath.knowledge.hiding import (
    DRAWS,
    TermChange,
    hiding_check,
    hiding_masks,
    players_concerned,
    term_changes,
)

N = 6


def masks():
    index = torch.arange(2**N)
    return (index[:, None] >> torch.arange(N)) & 1 == 1


def table(terms, empty=0.0):
    """v of AND terms: players -> effect."""
    shown = masks()
    found = torch.full((2**N,), empty, dtype=torch.float64)
    for players, effect in terms.items():
        found += effect * shown[:, list(players)].all(1)
    return found


BEFORE = {(0,): 1.0, (1, 2): 3.0, (3,): 0.5, (4, 5): -1.0}
AFTER = {(0,): 1.0, (1, 2): 0.5, (3,): -0.5, (4, 5): -1.5, (2, 3, 4): -2.0}


def planted():
    tables = torch.stack([table(BEFORE, 0.2), table(AFTER, -0.1)])
    return tables, bq.decompose(tables, "and")


def test_changes_are_what_was_planted_and_add_up():
    tables, read = planted()
    (terms,) = term_changes(read[0:1], read[1:2])
    found = {term.players: term for term in terms if abs(term.change) > 1e-9}
    assert {players: round(term.change, 9) for players, term in found.items()} == {
        (1, 2): -2.5,
        (2, 3, 4): -2.0,
        (3,): -1.0,
        (4, 5): -0.5,
    }
    assert [found[one].direction for one in ((1, 2), (2, 3, 4), (3,), (4, 5))] == [
        "lost",
        "came",
        "turned",
        "came",
    ]
    total = (tables[1, -1] - tables[0, -1]).item()
    assert sum(term.change for term in terms) - 0.3 == pytest.approx(total)


def test_sparse_readings_say_the_same_changes():
    tables, _ = planted()
    shown = masks()
    read = bq.fit(shown, tables, order=3)
    (terms,) = term_changes(read[0:1], read[1:2])
    strongest = {term.players: term.change for term in terms[:3]}
    assert strongest == {
        (1, 2): pytest.approx(-2.5, abs=0.05),
        (2, 3, 4): pytest.approx(-2.0, abs=0.05),
        (3,): pytest.approx(-1.0, abs=0.05),
    }


def test_players_concerned_are_those_that_moved_the_output_its_way():
    terms = [
        TermChange("and", (0, 1), 0.0, 5.0),  # the other way
        TermChange("and", (2, 3), 4.0, 0.0),
        TermChange("or", (4, 5, 6), 3.0, 0.0),  # would hide more than half
        TermChange("and", (3,), 2.0, 0.0),
        TermChange("and", (7,), 1.0, 0.0),
        TermChange("and", (0,), 0.5, 0.0),
    ]
    assert players_concerned(terms, -1.0, 8) == (2, 3, 7)
    assert players_concerned(terms, 1.0, 8) == (0, 1)
    assert players_concerned([], 1.0, 8) == ()


@given(st.integers(2, 20), st.data())
def test_masks_hide_those_players_and_then_as_many_others(n, data):
    players = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n // 2))
    found = hiding_masks(sorted(players), n, seed=1)
    assert set((~found[0]).nonzero().flatten().tolist()) == players
    assert ((~found).sum(1) == len(players)).all()
    assert len({tuple(row) for row in found.tolist()}) == len(found) <= 1 + DRAWS
    assert torch.equal(found, hiding_masks(sorted(players), n, seed=1))


def test_half_of_the_players_at_most_are_hidden():
    for players, n in (((), 4), ((0, 1, 2), 4)):
        with pytest.raises(BequeathError, match="half of them"):
            hiding_masks(players, n)


def moved(tables, hidden):
    """Change of the difference between the models from all players shown to the masks."""
    index = (hidden.long() << torch.arange(N)).sum(1)
    difference = tables[1] - tables[0]
    return (difference[index] - difference[-1]).numpy()


def test_hiding_what_changed_undoes_the_change_of_a_planted_game():
    tables, read = planted()
    total = (tables[1, -1] - tables[0, -1]).item()
    (terms,) = term_changes(read[0:1], read[1:2])
    players = players_concerned(terms, total, N)
    assert players == (1, 2, 3)  # (2, 3, 4) would make four of six
    hidden = hiding_masks(players, N)
    found = moved(tables, hidden)
    check = hiding_check([total], [found], [found], [True])
    # All changes except (4, 5) and v(0) are undone: -5.5 of -6.3.
    assert check.undone.mean == pytest.approx(5.5 / 6.3)
    assert check.undone.mean > check.undone_at_random.mean
    assert (check.measurable, check.right.mean) == (1, 1.0)
    assert 0 < check.right.low < 1  # one sample gives a wide interval


def test_readings_of_nothing_are_right_half_the_time():
    rng = np.random.default_rng(0)
    said, found = rng.normal(size=(2, 400, 1 + DRAWS))
    check = hiding_check(rng.normal(size=400), said, found, [True] * 400)
    assert check.right.low < 0.5 < check.right.high
    assert check.right_at_random.low < 0.5 < check.right_at_random.high
    assert check.more.low < 0 < check.more.high


def test_without_measurable_samples_nothing_is_said_to_be_right():
    check = hiding_check([1.0, -2.0], [[-0.5], [1.0]], [[-1.0], [1.0]], [False, False])
    assert (check.measurable, check.right.n) == (0, 0)
    assert np.isnan(check.right.mean)
    assert check.said.mean == pytest.approx(0.5)
    assert check.undone.mean == pytest.approx(2 / 3)
    empty = hiding_check([], [], [], [])
    assert empty.undone.n == 0
    assert np.isnan(empty.undone.mean)
