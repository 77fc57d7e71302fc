"""Strengths of any size, and solves that do not converge."""

import numpy as np
import pytest
import torch

import bequeath as bq

SIZES = [1e-300, 1e-200, 1e-100, 1e200, 1e300, 1e20, 1e100]
MASKS = bq.draw_masks(6, 48, seed=0)


def values(seed):
    """Different samples, each equal in all models."""
    x, common, own = MASKS.double().numpy(), np.random.default_rng(9), np.random.default_rng(seed)
    weights = common.normal(size=(10, 6)) * (common.random((10, 6)) < 0.5) + 0.2 * own.normal(size=(10, 6))
    return (
        weights @ x.T + common.normal(size=(10, 1)) * x[:, 0] * x[:, 1] + 0.05 * own.normal(size=(10, len(x)))
    )


def readings(size):
    return [bq.fit(MASKS, values(seed) * size, 2, resamples=2) for seed in (1, 2)]


@pytest.fixture(scope="module")
def usual():
    return readings(1.0)


@pytest.mark.parametrize("size", SIZES[::2])
def test_shares_do_not_depend_on_the_size_of_the_values(size, usual):
    found = readings(size)
    for normalise in ("l1", "output", "none"):
        one, other = (
            bq.compare(before=a, after=b, normalise=normalise).share("preserved") for a, b in (found, usual)
        )
        for field in ("observed", "floor", "ceiling", "corrected", "low", "high", "p"):
            assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-6, abs=1e-9), field
        assert one.reason is None
        assert one.observed > 0.1
    assert found[0].r2.tolist() == pytest.approx(usual[0].r2.tolist(), abs=1e-9)
    assert [term.name for term in found[0][0].top(3)] == [term.name for term in usual[0][0].top(3)]
    assert found[0][0].top(1)[0].value / size == pytest.approx(usual[0][0].top(1)[0].value, rel=1e-6)
    gap = found[0].certificate.gap
    assert gap.isfinite().all()
    assert gap.max() <= 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_exact_readings_of_any_size(size):
    torch.manual_seed(0)
    before = torch.randn(3, 16, dtype=torch.float64)
    after = before + 0.3 * torch.randn(3, 16, dtype=torch.float64)
    expected, found = (bq.decompose(before * factor) for factor in (1.0, size))
    assert torch.allclose(found.values / size, expected.values, atol=1e-6)
    assert torch.allclose(found.reconstruct() / size, before)
    assert found.certificate.gap.max() <= 1e-3
    bounds, other = (bq.preserved_bounds(before * f, after * f, entries=4) for f in (size, 1.0))
    assert torch.allclose(bounds.share, other.share, atol=1e-6)
    assert torch.allclose(bounds.greatest, other.greatest, atol=1e-3)


def test_inner_bounds_of_solves_that_do_not_converge_are_not_given():
    torch.manual_seed(0)
    before = torch.randn(2, 128, dtype=torch.float64)
    after = before + 0.3 * torch.randn_like(before)
    settled = bq.preserved_bounds(before, after, entries=4)
    assert settled.converged.all()
    with pytest.warns(bq.CertificateWarning, match=r"2 of 2 pairs: .*shares are nan; raise max_iterations"):
        cut = bq.preserved_bounds(before, after, entries=4, max_iterations=20)
    assert not cut.converged.any()
    assert torch.stack((cut.least_found, cut.share, cut.greatest_found)).isnan().all()
    # Outer bounds stay valid, but are wider.
    assert (cut.least <= settled.least_found).all()
    assert (cut.greatest >= settled.greatest_found).all()
