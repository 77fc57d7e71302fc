import numpy as np
import pytest
from scipy import stats

from bequeath.knowledge.statistics import mean_estimate, mean_estimates, ratio_estimate, ratio_estimates


def test_the_mean_interval_is_scipys_bca():
    x = np.random.default_rng(0).exponential(size=30)
    got = mean_estimate(x, seed=3)
    interval = stats.bootstrap(
        (x,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    assert got.mean == pytest.approx(x.mean())
    assert got.n == 30
    # The same method on the same data; resamples may be drawn in another order.
    width = interval.high - interval.low
    assert abs(got.low - interval.low) < 0.1 * width
    assert abs(got.high - interval.high) < 0.1 * width


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    data = rng.normal(size=(40, 200))  # 200 studies of 40 samples, true mean 0
    covered = np.mean([e.low <= 0 <= e.high for e in mean_estimates(data)])
    assert 0.88 <= covered <= 0.99


def test_a_ratio_is_of_sums_and_its_parts_are_resampled_together():
    rng = np.random.default_rng(2)
    bottom = rng.uniform(1, 10, size=25)
    exact = ratio_estimate(0.3 * bottom, bottom)
    assert (exact.mean, exact.low, exact.high) == pytest.approx((0.3, 0.3, 0.3))
    top = 0.3 * bottom + rng.normal(scale=0.05, size=25)
    got = ratio_estimate(top, bottom)
    assert got.mean == pytest.approx(top.sum() / bottom.sum())
    assert got.low < got.mean < got.high
    assert got.high - got.low < 0.02  # far narrower than either part's own spread


def test_degenerate_data_have_honest_intervals():
    constant = mean_estimate(np.full(10, 2.0))
    assert (constant.mean, constant.low, constant.high) == (2.0, 2.0, 2.0)
    single = mean_estimate([5.0])
    assert single.to_dict() == {"mean": 5.0, "low": None, "high": None, "n": 1}
    nothing = ratio_estimate(np.zeros(4), np.zeros(4))
    assert nothing.to_dict() == {"mean": None, "low": None, "high": None, "n": 4}


def test_columns_do_not_disturb_each_other():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(15, 3))
    values[:, 1] = 7.0
    together = mean_estimates(values)
    assert [e.mean for e in together] == pytest.approx(values.mean(0).tolist())
    assert together[1].low == together[1].high == 7.0
    bottom = np.abs(values) + 1
    bottom[:, 2] = 0
    ratios = ratio_estimates(np.where(bottom == 0, 0, values), bottom)
    assert np.isnan(ratios[2].mean)
    assert ratios[0].low <= ratios[0].mean <= ratios[0].high


def test_the_same_seed_gives_the_same_interval():
    x = np.random.default_rng(5).normal(size=12)
    assert mean_estimate(x, seed=1) == mean_estimate(x, seed=1)
    assert mean_estimate(x, seed=1) != mean_estimate(x, seed=2)
