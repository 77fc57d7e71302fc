"""Shares from sums by sample are those of the comparison, over samples and over seeds."""

import numpy as np
import pytest
from planted import models

import bequeath as bq
from bequeath.knowledge.shares import Strengths

N = 4


def strengths(seed, **more):
    return bq.compare(**models(3, seed=10 * seed, samples=6, n=N), **more).strengths


def test_seeds_are_pooled_as_sums_over_all_of_them():
    parts = [strengths(seed, labels=[0, 0, 0, 1, 1, 1]) for seed in (0, 1, 2)]
    pooled = Strengths.stacked(parts)
    top = sum(part.total("preserved").sum() for part in parts)
    bottom = sum(part.total("before").sum() for part in parts)
    got = pooled.share("preserved")
    assert got.observed == pytest.approx(top / bottom)
    assert (got.n, got.seeds) == (6, 3)
    assert got.low < got.observed < got.high
    chance = sum(part.share("preserved").floor * part.total("before").sum() for part in parts)
    assert got.floor == pytest.approx(chance / bottom)
    assert got.floor_within_classes is not None
    falls = [part.fall_with_order().mean for part in parts]
    assert pooled.fall_with_order().mean == pytest.approx(np.mean(falls))


def test_the_fall_is_between_the_halves_of_the_orders():
    strength = np.tile([4.0, 2.0, 2.0, 2.0], (5, 1))
    kept = strength * [0.5, 0.5, 0.25, 0.0]
    made = Strengths({"before": strength, "after": strength, "preserved": kept}, {"preserved": kept})
    assert made.fall_with_order().mean == pytest.approx(0.5 - 0.125)
    assert [e.mean for e in made.preserved_by_order()] == [0.5, 0.5, 0.25, 0.0]


def test_seeds_on_other_samples_or_models_are_refused():
    five = bq.compare(**models(3, samples=5, n=N)).strengths
    two = bq.compare(**models(2, samples=6, n=N)).strengths
    for other in (five, two):
        with pytest.raises(bq.BequeathError, match="same models, samples and players"):
            Strengths.stacked([strengths(0), other])


def test_a_share_is_plain_json():
    told = strengths(0).share("preserved").to_dict()
    assert set(told) >= {"observed", "floor", "ceiling", "corrected", "low", "high", "p", "n", "reason"}
    assert told["ceiling"] is told["corrected"] is told["p"] is told["reason"] is None
