"""Listed terms in arrays of fixed size come back as they went."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bequeath as bq
from bequeath.lattice.listed import Listed
from bequeath.study.store.terms import packed, quantities, unpacked


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), st.integers(1, 4), st.integers(0, 1000))
def test_readings_come_back(n: int, tables: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    masks = bq.draw_masks(n, 64, seed=seed)
    values = torch.randn(tables, len(masks), generator=generator, dtype=torch.float64)
    values += 5 * masks[:, 0] * masks[:, 1]
    order = min(n, 2)
    listed = bq.fit(masks, values, order, resamples=2, seed=seed).listed
    assert listed is not None
    both = [packed(listed, table, 40, order) for table in range(tables)]
    numbers, terms = zip(*both, strict=True)
    back = unpacked(numbers, terms, quantities(listed), listed.masks)
    for name in ("members", "kinds", "order", "masks"):
        assert getattr(back, name) == getattr(listed, name)
    for name in ("value", "error", "chosen", "constant", "residual", "r2", "spread"):
        torch.testing.assert_close(getattr(back, name), getattr(listed, name), atol=0, rtol=0, equal_nan=True)
    again = Listed.stacked([listed.chosen_terms((table,)) for table in range(tables)])
    assert torch.equal(again.value, listed.value)
