"""How many masks are enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import bequeath as bq
from bequeath.lattice.sparse.growth import FIRST, LIMIT, Look, next_number, why_enough


def looks(*of: tuple[float, float]) -> list[Look]:
    return [Look(FIRST * 2**place, r2, error) for place, (r2, error) in enumerate(of)]


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ([(0.5, 0.4)], None),
        ([(0.5, 0.4), (0.4, 0.5)], None),
        ([(0.5, 0.4), (0.49, 0.3), (0.6, 0.2)], None),
        ([(0.5, 0.4), (0.6, 0.3), (0.59, 0.2)], None),
        ([(0.5, 0.4), (0.505, 0.3), (0.5, 0.2)], "do not raise held-out R2 by 0.01 (0.500, 0.505, 0.500)"),
        ([(0.5, 0.4), (0.6, 0.39), (0.7, 0.385)], "relative error by 5% (0.400, 0.390, 0.385)"),
        ([(math.nan, math.nan)], "the values do not vary"),
        ([(0.1 * i, 0.5 / 2**i) for i in range(5)], "the limit of 2048 masks is reached"),
    ],
)
def test_more_masks_are_wanted_as_long_as_they_pay(
    seen: list[tuple[float, float]], reason: str | None
) -> None:
    found = why_enough(looks(*seen), 40)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_no_more_masks_than_there_are_and_than_are_allowed() -> None:
    assert next_number([], 40) == FIRST
    assert next_number(looks((0.5, 0.4)), 40) == 2 * FIRST
    assert next_number([], 6) == 64
    assert next_number(looks((0.5, 0.4)), 40, limit=200) == 200
    assert "all 64 masks" in str(why_enough([Look(64, 0.5, 0.4)], 6))
    assert LIMIT == 2048


def test_a_look_is_over_tables_that_vary() -> None:
    masks = bq.draw_masks(8, 100)
    x = masks.double()
    values = torch.stack([x[:, 0] * x[:, 1] + 0.3 * x[:, 2], torch.full((100,), 2.0, dtype=torch.float64)])
    values += (
        0.05
        * torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
        * torch.tensor([[1.0], [0]])
    )
    found = bq.fit(masks, values, 2, resamples=4)
    look = Look.at(100, [found, found[:1]])
    assert look.r2 == pytest.approx(float(found.r2[0]))
    terms = found.terms(0)
    expected = np.sum([term.error for term in terms]) / np.sum([abs(term.value) for term in terms])
    assert look.error == pytest.approx(expected)
