"""Floors, ceilings, corrected shares, intervals and p-values against slow sums, and where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from planted import interactions, models, of_values, sparse_games

import bequeath as bq
from bequeath.knowledge import calibration
from bequeath.knowledge.crossings import Crossed, crossed, strength
from bequeath.knowledge.regions import shared
from bequeath.knowledge.repeats import Repeats, halves_of
from bequeath.knowledge.skill import without_skill
from bequeath.lattice.subsets import orders


def over_derangements(first, second, whole, labels=None):
    """Mean share over all derangements, computed one by one."""
    count, found = len(first), []
    for order in permutations(range(count)):
        apart = all(i != j for i, j in enumerate(order))
        alike = labels is None or all(labels[i] == labels[j] for i, j in enumerate(order))
        if apart and alike:
            found.append((shared(first, second[list(order)]).sum() / whole.sum()).item())
    return np.mean(found)


def test_crossings_are_slow_sums_by_order():
    a, b = (interactions(seed, samples=4).values for seed in (0, 1))
    got = crossed(a, b, orders(3), 3)
    for i in range(4):
        for j in range(4):
            by_order = [shared(a[i], b[j])[:, orders(3) == order].sum().item() for order in (1, 2, 3)]
            assert got[i, j] == pytest.approx(by_order)
    assert strength(a, orders(3), 3).sum() == pytest.approx(a.abs().sum().item())


def test_a_sample_that_was_not_read_is_nan_and_only_it():
    a, b = (interactions(seed, samples=4).values for seed in (0, 1))
    b[2] = torch.nan
    got = crossed(a, b, orders(3), 3)
    assert np.isnan(got[:, 2]).all()
    assert np.isfinite(got[:, [0, 1, 3]]).all()


def test_floors_are_means_over_all_derangements():
    comparison = bq.compare(**models(3, samples=5))
    before, after, control = (comparison.values[role] for role in ("before", "after", "control"))
    floor = over_derangements(before, after, before.abs())
    assert comparison.share("preserved").floor == pytest.approx(floor)
    assert comparison.share("discarded").floor == pytest.approx(1 - floor)
    assert comparison.share("new").floor == pytest.approx(1 - over_derangements(after, before, after.abs()))
    preserved = before.sign() * comparison.preserved
    assert comparison.share("relearned").floor == pytest.approx(
        over_derangements(preserved, control, preserved.abs())
    )


def test_floors_within_classes():
    labels = [0, 1, 0, 1, 0]
    comparison = bq.compare(**models(2, samples=5), labels=labels)
    before, after = comparison.values["before"], comparison.values["after"]
    found = comparison.share("preserved")
    assert found.floor_within_classes == pytest.approx(over_derangements(before, after, before.abs(), labels))
    assert found.floor == pytest.approx(over_derangements(before, after, before.abs()))


def test_a_class_of_one_sample_says_nothing_of_chance_within_classes():
    comparison = bq.compare(**models(2, samples=4), labels=[0, 0, 1, 2])
    first = bq.compare(before=interactions(0)[:2], after=interactions(1)[:2], normalise="none")
    raw = comparison.raw.share("preserved")
    assert raw.floor_within_classes == pytest.approx(first.share("preserved").floor)
    alone = bq.compare(**models(2, samples=2), labels=[0, 1]).share("preserved")
    assert alone.floor_within_classes is alone.p_within_classes is None
    assert alone.floor is not None


def test_a_single_sample_has_no_chance_level():
    found = bq.compare(before=interactions(0)[0], after=interactions(1)[0]).share("preserved")
    assert found.floor is found.corrected is found.p is None
    assert "only 1 sample;" in found.reason


def test_independent_laplace_strengths_share_a_quarter_and_so_does_chance():
    """Independent strengths share 25%, and R is 33%, by chance alone (docs/method.md, section "Floor")."""
    rng = torch.Generator().manual_seed(0)

    def laplace():
        u = torch.rand(40, 1024, generator=rng, dtype=torch.float64) - 0.5
        values = -u.sign() * torch.log1p(-2 * u.abs())
        values[:, 0] = 0
        return of_values(values)

    comparison = bq.compare(before=laplace(), after=laplace(), control=laplace())
    for name, expected in (("preserved", 0.25), ("relearned", 1 / 3)):
        found = comparison.share(name)
        assert found.observed == pytest.approx(expected, abs=0.01)
        assert found.floor == pytest.approx(expected, abs=0.01)
        assert found.ceiling is found.corrected is None
    assert "no second reading" in comparison.share("preserved").reason
    assert comparison.share("preserved").p > 0.05


def noisy(values, seed, noise):
    """A second reading: the same values with errors."""
    rng = torch.Generator().manual_seed(seed)
    errors = noise * torch.randn(values.shape, generator=rng, dtype=torch.float64)
    errors[:, 0] = 0
    return of_values(values + errors)


def planted(seed, samples=30, share=0.5, noise=0.05):
    """Two models with a share of their strength in common on each sample, each read twice."""
    rng = torch.Generator().manual_seed(seed)

    def part(chance):
        there = torch.rand(samples, 64, generator=rng) < chance
        values = torch.randn(samples, 64, generator=rng, dtype=torch.float64) * there
        values[:, 0] = 0
        return values

    common = part(0.2 * share)
    first, second = common + part(0.2 * (1 - share)), common + part(0.2 * (1 - share))
    readings = [
        noisy(values, 10 * seed + i, noise) for i, values in enumerate((first, first, second, second))
    ]
    return {
        "before": readings[0],
        "after": readings[2],
        "retests": {"before": readings[1], "after": readings[3]},
    }


def test_retests_make_a_ceiling_and_observed_is_across_them():
    given = planted(0)
    found = bq.compare(**given).share("preserved")
    values = {
        name: one.values / one.values.abs().sum((1, 2)).mean()
        for name, one in {
            "a": given["before"],
            "a'": given["retests"]["before"],
            "b": given["after"],
            "b'": given["retests"]["after"],
        }.items()
    }

    def common(x, y):
        return shared(values[x], values[y]).sum().item()

    size = {name: one.abs().sum().item() for name, one in values.items()}
    assert found.second == "retest"
    assert found.observed == pytest.approx((common("a", "b'") + common("a'", "b")) / (size["a"] + size["a'"]))
    reliability = [2 * common(x, x + "'") / (size[x] + size[x + "'"]) for x in ("a", "b")]
    assert found.ceiling == pytest.approx(1 - np.mean([(1 - r) ** 4 for r in reliability]) ** 0.25)
    assert found.ceiling == pytest.approx(
        np.sqrt(np.prod(reliability)), abs=0.005
    )  # the reliabilities are equal
    assert found.corrected == pytest.approx((found.observed - found.floor) / (found.ceiling - found.floor))
    assert found.low < found.corrected < found.high
    assert found.reason is None
    assert found.corrected == pytest.approx(0.5, abs=0.12)
    assert found.p == pytest.approx(1 / 2000)
    assert found.above_chance
    assert bq.compare(**given).share("discarded").above_chance
    assert not bq.compare(**planted(3, share=0.0)).share("preserved").above_chance


def test_discarded_and_new_are_what_is_left():
    comparison = bq.compare(**planted(1))
    preserved, discarded, new = (comparison.share(name) for name in ("preserved", "discarded", "new"))
    assert discarded.observed == pytest.approx(1 - preserved.observed)
    assert discarded.corrected == pytest.approx(1 - preserved.corrected)
    assert (discarded.low, discarded.high) == pytest.approx((1 - preserved.high, 1 - preserved.low))
    assert discarded.floor > discarded.observed > discarded.ceiling
    assert new.corrected == pytest.approx(discarded.corrected, abs=0.03)  # each model on its own scale


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_zero_is_chance_and_one_is_the_same_model(share):
    kappas = [bq.compare(**planted(seed, share=share)).share("preserved").corrected for seed in range(6)]
    assert np.mean(kappas) == pytest.approx(share, abs=0.03)


def test_samples_without_a_retest_are_left_out():
    given = planted(2, samples=12)
    some = {role: one[:9] for role, one in given["retests"].items()}
    nothing = torch.full((3, 64), torch.nan, dtype=torch.float64)
    filled = {role: of_values(torch.cat((one.values[:, 0], nothing))) for role, one in some.items()}
    whole = bq.compare(**{**given, "retests": filled}, normalise="none", labels=[0, 1] * 6)
    part = bq.compare(
        before=given["before"][:9],
        after=given["after"][:9],
        retests=some,
        normalise="none",
        labels=([0, 1] * 5)[:9],
    )
    assert whole.share("preserved") == part.share("preserved")
    assert whole.share("preserved").n == 9
    assert whole.strengths.fall_with_order() == part.strengths.fall_with_order()


def test_sparse_readings_have_their_halves():
    masks, values = sparse_games(samples=9, models=3)
    readings = [bq.fit(masks, one, 2, resamples=0) for one in values]
    comparison = bq.compare(before=readings[0], after=readings[1], control=readings[2])
    found = comparison.share("preserved")
    both = Repeats.of(*halves_of({"before": readings[0], "after": readings[1]}))
    direct = [
        shared(x["before"], y["after"]).sum().item()
        for x, y in ((both.first, both.second), (both.second, both.first))
    ]
    assert found.second == "split"
    assert found.observed == pytest.approx(np.mean(direct) / len(values[0]))
    assert found.reason is None
    assert comparison.share("relearned").second == "split"
    assert len(comparison.strengths.by_orders("preserved")) == 2


def test_too_few_masks_for_halves_leave_no_ceiling():
    masks, values = sparse_games(samples=8, models=2, count=24)
    found = bq.compare(before=bq.fit(masks, values[0], 1), after=bq.fit(masks, values[1], 1)).share(
        "preserved"
    )
    assert found.second in ("split", "once")
    assert (found.second == "once") == ("no second reading" in (found.reason or ""))


def test_a_twin_stands_for_what_the_recipe_knows():
    given = planted(3)
    twin = given["retests"]["after"]
    comparison = bq.compare(before=given["before"], after=given["after"], twins={"after": twin})
    found = comparison.share("preserved")
    values, others = comparison.values["after"], comparison.values["after twin"]
    expected = 2 * shared(values, others).sum() / (values.abs().sum() + others.abs().sum())
    assert found.second == "twin"
    assert found.ceiling == pytest.approx(expected.item())
    both = bq.compare(**given, twins={"after": twin})
    assert both.strengths.seconds == ("retest", "twin")
    assert both.share("preserved", "twin").ceiling == pytest.approx(expected.item())
    with pytest.raises(bq.BequeathError, match="no second readings by 'split'"):
        both.share("preserved", "split")


def test_a_twin_of_the_model_after_takes_the_place_of_the_control():
    given = planted(4)
    twin = given["retests"]["after"]
    comparison = bq.compare(before=given["before"], after=given["after"], control=twin, twins={"after": twin})
    assert comparison.share("relearned").corrected == pytest.approx(1)


def test_a_control_that_is_read_worse_is_not_told_to_have_less():
    """A control that has all preserved strength gets a corrected share of 1, even if its readings are noisy."""
    kappas = []
    for seed in range(5):
        rng = torch.Generator().manual_seed(seed)
        values = torch.randn(30, 64, generator=rng, dtype=torch.float64) * (
            torch.rand(30, 64, generator=rng) < 0.2
        )
        values[:, 0] = 0
        sure = [noisy(values, 10 * seed + i, 0.02) for i in range(4)]
        unsure = [noisy(values, 10 * seed + i, 0.1) for i in (4, 5)]
        found = bq.compare(
            before=sure[0],
            after=sure[1],
            control=unsure[0],
            retests={"before": sure[2], "after": sure[3], "control": unsure[1]},
        )
        crossed = found.strengths.crossed["retest"]["relearned"].over(np.ones((6, 1)))
        kappas.append(
            [
                found.share("relearned").corrected,
                calibration.point(replace(crossed, of_three=())).corrected[0],
            ]
        )
    ours, without = np.mean(kappas, axis=0)
    assert ours == pytest.approx(1, abs=0.1)
    assert without < ours - 0.05


def test_few_samples_bear_no_verdict():
    found = bq.compare(**planted(5, samples=7)).share("preserved")
    assert found.reason == "only 7 samples; a verdict needs 8"
    assert found.corrected is not None


def test_noise_is_not_measurable():
    rng = [
        torch.randn(12, 64, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(4)
    ]
    for values in rng:
        values[:, 0] = 0
    readings = [of_values(values) for values in rng]
    found = bq.compare(
        before=readings[0], after=readings[1], retests={"before": readings[2], "after": readings[3]}
    ).share("preserved")
    assert "too close to tell knowledge from noise" in found.reason
    assert found.corrected is None
    assert np.isnan(found.low)


def test_what_is_not_above_chance_cannot_be_relearned():
    given = planted(6, share=0.0)
    control = planted(7)
    found = bq.compare(
        before=given["before"],
        after=given["after"],
        control=control["before"],
        retests={**given["retests"], "control": control["retests"]["before"]},
    )
    assert found.share("preserved").low <= 0
    assert "nothing that could be relearned" in found.share("relearned").reason


def test_a_model_without_skill_is_not_measurable():
    reason = without_skill("cold", [1] * 13 + [0] * 37, 0.25)
    assert reason.startswith("cold is not better than always naming the largest class (it is right in 26% [")
    assert without_skill("warm", [1] * 25 + [0] * 25, 0.25) is None
    assert without_skill("constant", [1] * 30 + [0] * 20, 0.6) is not None
    found = bq.compare(**planted(8), not_measurable={"after": reason})
    assert {found.share(name).reason for name in ("preserved", "discarded", "new")} == {reason}
    with pytest.raises(bq.BequeathError, match="not_measurable: no model 'control'"):
        bq.compare(**planted(8), not_measurable={"control": reason})


def test_p_does_not_rise_with_strengths_that_both_models_share():
    """Samples that are strong in both models share more than permuted samples; this must not lower p."""
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        size = np.exp(rng.normal(size=(12, 1)))
        a, b = (
            torch.from_numpy(size * rng.laplace(size=(12, 32)) * (rng.random((12, 32)) < 0.3))
            for _ in range(2)
        )
        values = [torch.cat((torch.zeros(12, 32, dtype=torch.float64), x), 1) for x in (a, b)]
        p.append(bq.compare(before=of_values(values[0]), after=of_values(values[1])).share("preserved").p)
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.1


def test_p_of_few_samples_counts_every_order_once():
    assert len(calibration.permutations(3)) == 6
    assert len(calibration.permutations(4, (0, 0, 1, 1))) == 4
    assert calibration.permutations(2, (0, 1)) is None
    assert len(calibration.permutations(30)) == calibration.PERMUTATIONS


def test_the_largest_over_orders_holds_the_family():
    rng = np.random.default_rng(1)
    alarms = []
    for _ in range(150):
        values = [rng.laplace(size=(10, 64)) * (rng.random((10, 64)) < 0.3) for _ in range(2)]
        for one in values:
            one[:, 0] = 0
        comparison = bq.compare(
            **{
                role: of_values(torch.from_numpy(one))
                for role, one in zip(("before", "after"), values, strict=True)
            }
        )
        alarms.append(min(share.p for share in comparison.strengths.by_orders("preserved")) <= 0.05)
    assert np.mean(alarms) <= 0.1


def test_levels_of_resamples_are_those_of_the_samples_drawn():
    """A resample without the third sample, and one with the first sample twice, against explicit sums."""
    rng = np.random.default_rng(2)
    common, whole = rng.random((3, 3, 1)), 1 + rng.random((3, 1))
    again = ((rng.random((3, 1)), 1 + rng.random((3, 1))),)
    one = Crossed(common, whole, common, again)
    found = calibration.levels(one, np.ones((2, 1)), np.array([[1.0, 1, 0], [2.0, 1, 0]]))
    m, w = common[..., 0], whole[:, 0]
    assert found.observed[:, 0] == pytest.approx(
        [(m[0, 0] + m[1, 1]) / (w[0] + w[1]), (2 * m[0, 0] + m[1, 1]) / (2 * w[0] + w[1])]
    )
    # A sample drawn twice is never paired with itself.
    assert found.floor[:, 0] == pytest.approx(
        [(m[0, 1] + m[1, 0]) / (w[0] + w[1]), (2 * m[0, 1] + m[1, 0]) / (2 * w[0] + w[1])]
    )
    top, bottom = again[0][0][:, 0], again[0][1][:, 0]
    assert found.ceiling[1, 0] == pytest.approx((2 * top[0] + top[1]) / (2 * bottom[0] + bottom[1]))


def test_seeds_are_drawn_too():
    parts = [bq.compare(**planted(seed)).strengths for seed in (0, 1)]
    pooled = type(parts[0]).stacked(parts)
    found = pooled.share("preserved")
    assert (found.n, found.seeds) == (30, 2)
    assert (
        found.high - found.low
        > max(part.share("preserved").high - part.share("preserved").low for part in parts) / 2
    )
    assert min(p.share("preserved").corrected for p in parts) < found.corrected
