import pytest
import torch

import bequeath as bq
from bequeath.knowledge import faithfulness


def planted():
    """v = 10 [0 and 1 present] + 1 [2 present], offset 3."""
    i = torch.zeros(8, dtype=torch.float64)
    i[0b011], i[0b100] = 10, 1
    return bq.zeta(i) + 3


def test_a_wrong_reconstruction_is_noticed():
    table = planted()
    interactions = bq.decompose(table, "and")
    assert faithfulness.reconstruction_error(interactions, table) < 1e-12
    table[5] += 0.25
    assert faithfulness.reconstruction_error(interactions, table) == pytest.approx(0.25)


def test_cumulated_strength_ranks_interactions():
    ks, share = faithfulness.cumulated_strength(bq.decompose(planted(), "and"))
    assert ks[:3] == (1, 2, 5)
    torch.testing.assert_close(share[:3], torch.tensor([10 / 11, 1.0, 1.0], dtype=torch.float64))


def test_salient_error_is_that_of_what_is_left_out():
    table = planted()
    interactions = bq.decompose(table, "and")
    count, error = faithfulness.salient_error(interactions, table, threshold=0.05)
    assert count == 2
    assert error == pytest.approx(0, abs=1e-12)
    count, error = faithfulness.salient_error(interactions, table, threshold=0.5)
    assert count == 1
    # Left out: 1 on half of the masks; mean |v - v(0)| is (2 * 10 + 4 * 1) / 8 = 3.
    assert error == pytest.approx(0.5 / 3)
