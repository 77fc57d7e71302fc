"""Shares from strengths by sample equal those of the comparison, over samples and over seeds."""

import json

import numpy as np
import pytest
import torch
from planted import models, of_values

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
    assert got.observed_low < got.observed < got.observed_high
    chance = sum(part.share("preserved").floor * part.total("before").sum() for part in parts)
    assert got.floor == pytest.approx(chance / bottom)
    assert got.floor_within_classes is not None


def test_the_fall_is_between_the_corrected_shares_of_the_halves_of_the_orders():
    rng = torch.Generator().manual_seed(0)
    order = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    before = torch.randn(30, 2**N, generator=rng, dtype=torch.float64) * (
        torch.rand(30, 2**N, generator=rng) < 0.5
    )
    before[:, 0] = 0
    after = torch.where(order <= N // 2, 0.8, 0.2) * before
    made = {"before": of_values(before), "after": of_values(after)}
    found = bq.compare(**made, retests=made, normalise="none").strengths
    low, high = (
        bq.compare(
            **{role: of_values(torch.where(kept, one.and_, 0.0)) for role, one in made.items()},
            retests={role: of_values(torch.where(kept, one.and_, 0.0)) for role, one in made.items()},
            normalise="none",
        ).share("preserved")
        for kept in (order <= N // 2, order > N // 2)
    )
    fall = found.fall_with_order()
    assert fall.mean == pytest.approx(low.corrected - high.corrected)
    assert fall.low > 0
    by_order = found.by_orders("preserved")
    assert [share.observed for share in by_order] == pytest.approx([0.8, 0.8, 0.2, 0.2])
    assert max(share.p for share in by_order) < 0.05
    unread = bq.compare(**made, normalise="none").strengths.fall_with_order()
    assert np.isnan(unread.mean)


def test_seeds_on_other_samples_or_models_are_refused():
    five = bq.compare(**models(3, samples=5, n=N)).strengths
    two = bq.compare(**models(2, samples=6, n=N)).strengths
    for other in (five, two):
        with pytest.raises(bq.BequeathError, match="same models, samples and players"):
            Strengths.stacked([strengths(0), other])


def test_a_share_is_plain_json():
    told = strengths(0).share("preserved").to_dict()
    assert set(told) >= {"observed", "floor", "ceiling", "corrected", "low", "high", "p", "n", "reason"}
    assert told["ceiling"] is told["corrected"] is None
    json.dumps(told, allow_nan=False)
