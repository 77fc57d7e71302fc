import numpy as np
import pytest
from scipy import stats

from bequeath.knowledge.permutation import swap_test
from bequeath.knowledge.statistics import (
    correlation,
    mean_estimate,
    mean_estimates,
    ratio_estimate,
    ratio_estimates,
    resampled,
)


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


def test_one_seed_in_front_gives_the_same_figure_and_nearly_the_same_interval():
    x = np.random.default_rng(6).normal(size=40)
    alone, in_front = mean_estimate(x), mean_estimate(x[None])
    assert alone.mean == pytest.approx(in_front.mean)
    assert (in_front.n, in_front.seeds) == (40, 1)
    assert in_front.high - in_front.low == pytest.approx(alone.high - alone.low, rel=0.15)
    assert "seeds" not in in_front.to_dict()
    assert mean_estimate(np.stack([x, x + 1])).to_dict()["seeds"] == 2


@pytest.mark.parametrize("seeds", [2, 4])
def test_intervals_over_seeds_are_as_wide_as_seeds_differ(seeds):
    """The variance over resamples of seeds alone is the unbiased one, s**2 / seeds, however few there are."""
    rng = np.random.default_rng(7)
    offsets = rng.normal(size=seeds)
    values = np.repeat(offsets[:, None], 50, axis=1)
    found = []
    resampled(lambda mean: found.append(mean[:, 0]) or mean[:, 0], values[..., None])
    assert found[-1].var() == pytest.approx(offsets.var(ddof=1) / seeds, rel=0.15)
    got = mean_estimate(values)
    if seeds == 2:  # from one seed's figure to the other's
        assert (got.low, got.high) == pytest.approx((offsets.min(), offsets.max()))


def test_seeds_and_samples_both_widen_the_interval_and_ratios_are_resampled_together():
    rng = np.random.default_rng(8)
    samples, seeds = rng.normal(size=(1, 30)), np.array([[-1.0], [0.0], [1.0]])
    widths = [e.high - e.low for e in (mean_estimate(samples + 0 * seeds), mean_estimate(samples + seeds))]
    assert widths[1] > 1.5 * widths[0]
    bottom = rng.uniform(1, 10, size=(3, 30))
    exact = ratio_estimate(0.3 * bottom, bottom)
    assert (exact.mean, exact.low, exact.high) == pytest.approx((0.3, 0.3, 0.3))
    assert np.isnan(ratio_estimate(0 * bottom, 0 * bottom).mean)


def means_apart(first, second):
    return (first[0] - second[0])[:, 0]


def test_swaps_are_exact_for_few_samples_and_say_no_for_none():
    def p(differences, seed=0):
        values = np.asarray(differences, dtype=float)[..., None]
        return swap_test(means_apart, [values], [np.zeros_like(values)], seed)

    # All of 2**6 swaps: two of them are as extreme as all-positive.
    assert p([1, 2, 3, 1, 2, 3]) == pytest.approx(2 / 64)
    rng = np.random.default_rng(9)
    found = [p(rng.normal(size=20), seed=i) for i in range(60)]
    assert 0.0 < np.mean(np.array(found) < 0.1) < 0.25  # about one in ten under the null
    assert p(np.zeros(5)) == 1.0
    both = rng.normal(size=(2, 12))
    assert p(both) == p(both.mean(0))
    # For a mean it is the sign-flip test of scipy.
    values = rng.normal(0.4, 1, size=15)
    test = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert p(values) == pytest.approx(test.pvalue, abs=0.03)


def test_correlation_over_runs():
    rng = np.random.default_rng(10)
    x = rng.normal(size=25)
    y = x + rng.normal(size=25)
    got = correlation(x, y)
    assert got.mean == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert -1 <= got.low < got.mean < got.high <= 1
    fisher = stats.pearsonr(x, y).confidence_interval()
    assert abs(got.low - fisher.low) < 0.25
    assert correlation(x[:3], y[:3]).to_dict()["mean"] is None
    assert correlation(np.ones(9), y[:9]).to_dict()["mean"] is None
