import numpy as np
import pytest
import torch

import bequeath as bq
from bequeath.knowledge.approach import passage, passage_ratio
from bequeath.knowledge.dynamics import Dynamics, lead
from bequeath.lattice.subsets import orders


def slow_similarity(a, b):
    """Similarity of the flat effects of one sample, directly from its definition."""
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
    # Half of the strength gained is lost again.
    assert bq.dynamics(detour, [1, 2, 4], orders(3)).dropped.item() == pytest.approx(0.5)


def apart(shares, steps, samples=4, floor=0.0, halves=True):
    """A run whose samples share strength on one subset only, which gives its floor."""
    target = torch.zeros(samples, 2, 8, dtype=torch.float64)
    for sample in range(samples):
        target[sample, 0, 1 + sample] = 1 - floor
        target[sample, 1, 7] = floor
    effects = torch.stack([share * target for share in shares])
    return bq.dynamics(effects, steps, orders(3), halves=(effects, effects) if halves else None)


def test_area_and_first_step():
    run = apart((0, 0.6, 1.0), [1, 3, 7])
    np.testing.assert_allclose(run.similarity[:, 0, 0].numpy(), [0, 0.6, 1])
    assert [e.mean for e in run.approach.corrected()] == pytest.approx([0, 0.6, 1])
    assert run.approach.first_step(0.5) == 3
    assert run.approach.first_step(0.7) == 7
    # log2(1 + step) = 1, 2, 3: trapezoids of (0 + 0.6)/2 and (0.6 + 1)/2, over a range of 2.
    assert run.approach.area().mean == pytest.approx((0.3 + 0.8) / 2)


def test_what_other_samples_share_is_no_approach():
    run = apart((0.2, 0.6, 1.0), [1, 3, 7], floor=0.25)
    observed, floor, ceiling = run.approach.levels()
    assert [e.mean for e in observed] == pytest.approx([0.2, 0.6, 1])
    shared = [0.25 * share for share in (0.2, 0.6, 1.0)]
    assert [e.mean for e in floor] == pytest.approx([x / (x / 0.25 + 1 - x) for x in shared])
    assert ceiling.mean == 1
    expected = (0.6 - floor[1].mean) / (1 - floor[1].mean)
    assert run.approach.corrected()[1].mean == pytest.approx(expected)


def test_the_ceiling_is_what_two_readings_of_the_last_checkpoint_share():
    rng = torch.Generator().manual_seed(3)
    target = torch.rand(6, 2, 8, generator=rng, dtype=torch.float64)
    target[..., 0] = 0
    first = torch.stack([0.3 * target, target])
    second = first * (0.5 + 0.5 * torch.rand(first.shape, generator=rng, dtype=torch.float64))
    run = bq.dynamics(first, [1, 10], orders(3), halves=(first, second))
    slow = [slow_similarity(a.flatten(), b.flatten()) for a, b in zip(first[-1], second[-1], strict=True)]
    observed, _, ceiling = run.approach.levels()
    assert ceiling.mean == pytest.approx(np.mean(slow))
    assert observed[-1].mean == pytest.approx(np.mean(slow))
    assert run.approach.corrected()[-1].mean == pytest.approx(1)


def test_what_one_half_alone_finds_is_not_dropped():
    target = torch.zeros(1, 2, 8, dtype=torch.float64)
    target[0, 0, 3] = 1
    straight = torch.stack([0.5 * target, target, target])
    noise = torch.zeros_like(straight)
    noise[1, 0, 1, 5] = 1  # in one half of one checkpoint
    run = bq.dynamics(straight + noise / 2, [1, 2, 4], orders(3), halves=(straight + noise, straight))
    assert run.dropped.item() == pytest.approx(0)
    assert bq.dynamics(straight + noise / 2, [1, 2, 4], orders(3)).dropped.item() > 0.2


def test_noise_that_goes_and_knowledge_that_stays_are_told_apart():
    """Early checkpoints have noise that differs between them and between halves; the target grows all along."""
    rng = torch.Generator().manual_seed(4)
    target = torch.zeros(12, 2, 8, dtype=torch.float64)
    there = torch.rand(12, 7, generator=rng) < 0.4
    target[:, 0, 1:] = (2 * torch.rand(12, 7, generator=rng, dtype=torch.float64) + 1) * there

    def half(noises):
        noise = torch.randn(4, 12, 8, generator=rng, dtype=torch.float64)
        noise[..., 0] = 0
        growing = torch.stack([share * target for share in (0.1, 0.4, 0.7, 1.0)])
        growing[:, :, 1] += noise * torch.tensor(noises, dtype=torch.float64)[:, None, None]
        return growing

    halves = half((1.0, 0.2, 0.05, 0.05)), half((1.0, 0.2, 0.05, 0.05))
    run = bq.dynamics((halves[0] + halves[1]) / 2, [1, 10, 100, 1000], orders(3), halves=halves)
    changes = run.turnover
    removed, added = changes.kind("removed", True), changes.kind("added", True)
    assert removed.reliability.mean < 0.15 < added.reliability.mean
    assert removed.cancellation.mean < added.cancellation.mean
    gap = changes.less_reliable(("removed", True), ("added", True))
    assert gap.high < 0
    assert changes.more_cancelling(("removed", True), ("added", True)).high < 0
    assert changes.early.tolist() == [True, False, False]


def test_steps_that_do_not_ascend_or_fit_are_refused():
    effects = torch.zeros(3, 1, 2, 4, dtype=torch.float64)
    with pytest.raises(bq.BequeathError, match="give ascending steps"):
        bq.dynamics(effects, [1, 5, 5], orders(2))
    with pytest.raises(bq.BequeathError, match="2 for 3 checkpoints"):
        bq.dynamics(effects, [1, 5], orders(2))


def test_first_passage_lies_between_checkpoints_in_log_steps():
    run = apart((0.2, 0.6, 1.0), [1, 3, 7]).approach  # log2(1 + step) = 1, 2, 3
    assert run.first_passage(0.5).mean == pytest.approx(2**1.75 - 1)
    assert run.first_passage(0.1).mean == pytest.approx(1)
    assert run.first_passage(1.0).mean == pytest.approx(7)
    curves = np.array([[0.1, 0.9, 0.2], [0.0, 0.1, 0.2]])
    np.testing.assert_allclose(passage(run.steps, curves, 0.9), [3, np.nan])


def test_first_passages_are_compared_as_ratios_on_the_same_samples():
    early, late = (apart(shares, [1, 3, 7]).approach for shares in ((0.6, 0.9, 1.0), (0.0, 0.2, 1.0)))
    got = passage_ratio(early, late, 0.5)
    assert got.mean == pytest.approx(late.first_passage(0.5).mean / early.first_passage(0.5).mean)
    assert got.low > 1


def test_runs_of_several_seeds_are_one():
    first, second = apart((0.2, 0.6, 1.0), [1, 3, 7]), apart((0.4, 0.8, 1.0), [1, 3, 7])
    both = Dynamics.stacked([first, second])
    assert [e.mean for e in both.approach.corrected()] == pytest.approx([0.3, 0.7, 1.0])
    assert both.approach.area().seeds == 2
    assert both.turnover is not None
    with pytest.raises(bq.BequeathError, match="different checkpoints or samples"):
        Dynamics.stacked([first, apart((0.2, 0.6, 1.0), [1, 3, 8])])


def test_the_lead_is_paired_and_its_p_swaps_the_runs():
    early, late = (apart(shares, [1, 3, 7], samples=7) for shares in ((0.6, 0.9, 1.0), (0.0, 0.2, 1.0)))
    ahead = lead(early, late)
    assert ahead.area.mean == pytest.approx(early.approach.area().mean - late.approach.area().mean)
    assert ahead.area_p == pytest.approx(2 / 2**7)
    assert lead(early, early).area_p == 1
    # Runs with different checkpoints: missing ones are interpolated linearly.
    early, late = (apart(shares, [1, 7, 31], samples=7) for shares in ((0.6, 0.9, 1.0), (0.0, 0.2, 1.0)))
    denser = apart((0.6, 0.75, 0.9, 0.95, 1.0), [1, 3, 7, 15, 31], samples=7)
    assert lead(denser, late).area.mean == pytest.approx(lead(early, late).area.mean)
    assert lead(denser, late).area_p == pytest.approx(lead(early, late).area_p)


def test_mean_order_is_weighted_by_strength():
    effects = torch.zeros(2, 1, 2, 8, dtype=torch.float64)
    effects[0, 0, 0, 1] = -3  # order 1
    effects[1, 0, 0, 1], effects[1, 0, 1, 7] = 1, 3  # orders 1 and 3
    run = bq.dynamics(effects, [1, 2], orders(3))
    assert [e.mean for e in run.mean_order()] == pytest.approx([1, (1 + 9) / 4])
