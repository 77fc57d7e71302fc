"""Readings on a longer axis of samples."""

import pytest
import torch

import bequeath as bq
from bequeath.lattice.gaps import with_gaps

TABLES = torch.randn(2, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_exact_readings():
    i = bq.decompose(TABLES, "and-or")
    got = with_gaps(i, [3, 0], 4)
    assert got.offset.shape == (4,)
    for place, row in ((3, 0), (0, 1)):
        assert torch.equal(got[place].values, i[row].values)
        assert got.certificate[place].gap == i.certificate[row].gap
    for place in (1, 2):
        assert got.values[place].isnan().all()
        assert got.offset[place].isnan()
        assert got.certificate.objective[place].isnan()
        assert got.certificate.iterations[place] == 0
    assert with_gaps(bq.decompose(TABLES, "and"), [0, 1], 3).certificate is None


def test_sparse_readings():
    masks = bq.draw_masks(6, 40, seed=0)
    values = torch.stack([masks.double() @ torch.arange(6.0).double(), 2.0 * masks[:, 0] + masks[:, 1]])
    i = bq.fit(masks, values, 2, resamples=0)
    got = with_gaps(i, [1, 2], 4)
    assert got.listed.members == i.listed.members
    assert torch.equal(got.listed.value[1:3], i.listed.value)
    for name in ("value", "error", "constant", "residual", "r2"):
        assert getattr(got.listed, name)[[0, 3]].isnan().all(), name
    assert got[2].terms()[0].value == i[1].terms()[0].value
    with pytest.raises(bq.BequeathError, match="no longer has its masks"):
        _ = got.halves


@pytest.mark.parametrize("places", [[0], [0, 0], [0, 4], [-1, 0]])
def test_places_that_do_not_fit_are_refused(places):
    with pytest.raises(bq.BequeathError, match="give each table a different place, from 0 to 3"):
        with_gaps(bq.decompose(TABLES, "and"), places, 4)
