import numpy as np
import pytest
import torch

import bequeath as bq
from bequeath.knowledge.dynamics import Dynamics, passage, passage_ratio
from bequeath.lattice.subsets import orders


def slow_similarity(a, b):
    """Over one sample's flat effects, by the words of METHOD 5."""
    least = most = 0.0
    for x, y in zip(a, b, strict=True):
        for u, v in ((max(x, 0), max(y, 0)), (max(-x, 0), max(-y, 0))):
            least, most = least + min(u, v), most + max(u, v)
    return least / most


def test_similarity_follows_the_definition_overall_and_by_order():
    a, b = torch.randn(2, 3, 2, 8, dtype=torch.float64)
    got = bq.similarity(a, b, orders(3))
    for sample in range(3):
        assert got[sample, 0] == pytest.approx(slow_similarity(a[sample].flatten(), b[sample].flatten()))
        for order in (1, 2, 3):
            pick = orders(3) == order
            one, two = a[sample][:, pick].flatten(), b[sample][:, pick].flatten()
            assert got[sample, order] == pytest.approx(slow_similarity(one, two))


def test_similarity_is_one_with_itself_and_zero_with_the_opposite():
    a = torch.randn(2, 2, 8, dtype=torch.float64)
    a[..., 0] = 0
    torch.testing.assert_close(bq.similarity(a, a, orders(3)), torch.ones(2, 4, dtype=torch.float64))
    assert bq.similarity(a, -a, orders(3)).max() == 0
    assert bq.similarity(torch.zeros_like(a), torch.zeros_like(a), orders(3)).min() == 1


def test_a_straight_run_drops_nothing_and_a_detour_is_dropped():
    target = torch.randn(1, 2, 8, dtype=torch.float64)
    target[..., 0] = 0
    straight = torch.stack([target * share for share in (0.25, 0.5, 1.0)])
    assert bq.dynamics(straight, [1, 2, 4], orders(3)).dropped.item() == pytest.approx(0, abs=1e-12)
    detour = torch.stack([-target, 0 * target, target])
    # As much is learned and dropped again as is learned for good.
    assert bq.dynamics(detour, [1, 2, 4], orders(3)).dropped.item() == pytest.approx(0.5)


def test_area_and_first_step():
    target = torch.ones(1, 2, 4, dtype=torch.float64)
    run = bq.dynamics(torch.stack([0 * target, 0.6 * target, target]), [1, 3, 7], orders(2))
    np.testing.assert_allclose(run.similarity[:, 0, 0].numpy(), [0, 0.6, 1])
    assert run.first_step(0.5) == 3
    assert run.first_step(0.7) == 7
    # log2(1 + step) = 1, 2, 3: trapezoids of (0 + 0.6)/2 and (0.6 + 1)/2, over a range of 2.
    np.testing.assert_allclose(run.area(), [(0.3 + 0.8) / 2])


def test_steps_that_do_not_ascend_or_fit_are_refused():
    effects = torch.zeros(3, 1, 2, 4, dtype=torch.float64)
    with pytest.raises(bq.BequeathError, match="must ascend"):
        bq.dynamics(effects, [1, 5, 5], orders(2))
    with pytest.raises(bq.BequeathError, match="2 for 3 checkpoints"):
        bq.dynamics(effects, [1, 5], orders(2))


def straight(shares, steps, samples=4):
    torch.manual_seed(1)
    target = torch.rand(samples, 2, 8, dtype=torch.float64)
    target[..., 0] = 0
    return bq.dynamics(torch.stack([share * target for share in shares]), steps, orders(3))


def test_first_passage_lies_between_checkpoints_in_log_steps():
    run = straight((0.2, 0.6, 1.0), [1, 3, 7])  # log2(1 + step) = 1, 2, 3
    got = run.first_passage(0.5)
    assert got.mean == pytest.approx(2**1.75 - 1)
    assert run.first_passage(0.1).mean == pytest.approx(1)
    assert run.first_passage(1.0).mean == pytest.approx(7)
    assert run.first_step(0.5) == 3
    curves = np.array([[0.1, 0.9, 0.2], [0.0, 0.1, 0.2]])
    np.testing.assert_allclose(passage(run.steps, curves, 0.9), [3, np.nan])


def test_first_passages_are_compared_as_ratios_on_the_same_samples():
    early, late = straight((0.6, 0.9, 1.0), [1, 3, 7]), straight((0.0, 0.2, 1.0), [1, 3, 7])
    got = passage_ratio(early, late, 0.5)
    assert got.mean == pytest.approx(late.first_passage(0.5).mean / early.first_passage(0.5).mean)
    assert got.low > 1


def test_runs_of_several_seeds_are_one():
    first, second = straight((0.2, 0.6, 1.0), [1, 3, 7]), straight((0.4, 0.8, 1.0), [1, 3, 7])
    both = Dynamics.stacked([first, second])
    np.testing.assert_allclose(both.area(), np.stack([first.area(), second.area()]))
    mean = (first.curves() + second.curves()).mean((0,)) / 2
    assert both.first_passage(0.5).mean == pytest.approx(passage(both.steps, mean[None], 0.5)[0])
    assert both.first_passage(0.5).seeds == 2
    with pytest.raises(bq.BequeathError, match="other checkpoints or samples"):
        Dynamics.stacked([first, straight((0.2, 0.6, 1.0), [1, 3, 8])])


def test_mean_order_is_weighted_by_strength():
    effects = torch.zeros(2, 1, 2, 8, dtype=torch.float64)
    effects[0, 0, 0, 1] = -3  # order 1
    effects[1, 0, 0, 1], effects[1, 0, 1, 7] = 1, 3  # orders 1 and 3
    run = bq.dynamics(effects, [1, 2], orders(3))
    assert [e.mean for e in run.mean_order()] == pytest.approx([1, (1 + 9) / 4])
