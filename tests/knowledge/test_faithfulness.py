import math

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


def test_sparse_readings_are_judged_by_masks_that_were_left_out():
    masks = bq.draw_masks(8, 120)
    x = masks.double()
    noise = torch.randn(3, 120, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = 2 * x[:, 0] * x[:, 1] - x[:, 2] + 0.2 * noise
    found = bq.fit(masks, values, 2, resamples=0)
    total = values[:, 1] - values[:, 0]
    held = faithfulness.held_out(found, total)
    assert held.r2.mean == pytest.approx(float(found.r2.mean()))
    assert held.terms.mean == pytest.approx(sum(len(found.terms(i)) for i in range(3)) / 3)
    assert held.unexplained.mean == pytest.approx(float(found.residual.abs().sum() / total.abs().sum()))
    at, share = faithfulness.cumulated_strength(found)
    assert share.shape == (3, len(at))
    assert (share[:, 1:] >= share[:, :-1]).all()
    count, error = faithfulness.salient_error(found, values, masks=masks)
    assert (count <= held.terms.mean * 3).all()
    assert (error < 0.5).all()
    with pytest.raises(bq.BequeathError, match="held_out: exact readings given"):
        faithfulness.held_out(bq.decompose(torch.rand(3, 8)), total)


def test_nothing_is_predicted_of_values_that_do_not_vary():
    found = bq.fit(bq.draw_masks(6, 60), torch.ones(2, 60, dtype=torch.float64), 2, resamples=0)
    held = faithfulness.held_out(found, torch.zeros(2, dtype=torch.float64))
    assert math.isnan(held.r2.mean)
    assert held.terms.mean == 0
    at, share = faithfulness.cumulated_strength(found)
    assert (at, share.tolist()) == ((1,), [[0.0], [0.0]])
