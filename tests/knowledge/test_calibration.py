"""Chance levels against all derangements, and where the truth is known (METHOD 5b)."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from planted import interactions, models, of_values

import bequeath as bq
from bequeath.knowledge.calibration import mismatched
from bequeath.knowledge.regions import shared


def over_derangements(first, second, whole, labels=None):
    """Mean share over all derangements, one by one."""
    count, found = len(first), []
    for order in permutations(range(count)):
        apart = all(i != j for i, j in enumerate(order))
        alike = labels is None or all(labels[i] == labels[j] for i, j in enumerate(order))
        if apart and alike:
            found.append((shared(first, second[list(order)]).sum() / whole.sum()).item())
    return np.mean(found)


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
    assert alone.floor_within_classes is None
    assert alone.floor is not None


def test_a_single_sample_has_no_chance_level():
    found = bq.compare(before=interactions(0)[0], after=interactions(1)[0]).share("preserved")
    assert found.floor is None
    assert np.isnan(mismatched(torch.ones(1, 3), torch.ones(1, 3)).numpy()).all()


def test_independent_laplace_strengths_share_a_quarter_and_so_does_chance():
    """The figures of METHOD 5b: 25% of independent strengths, and R = 33%, are nothing but chance."""
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
        assert found.ceiling is found.corrected is found.p is None


def test_what_is_shared_on_the_same_samples_alone_stands_above_chance():
    """Half of the strength planted in both models on each sample, the rest of each its own."""
    rng = torch.Generator().manual_seed(1)
    common, own, other = (
        torch.randn(30, 64, generator=rng, dtype=torch.float64) * (torch.rand(30, 64, generator=rng) < 0.1)
        for _ in range(3)
    )
    for values in (common, own, other):
        values[:, 0] = 0
    found = bq.compare(before=of_values(common + own), after=of_values(common + other)).share("preserved")
    assert 0.4 < found.observed < 0.65
    assert found.floor < 0.15
    assert found.low > found.floor
