"""Means and ratios over samples (and seeds) with bootstrap intervals, and paired tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure over samples (and seeds) with its 95% interval.

    Attributes
    ----------
    mean : float
        The figure itself; NaN if it does not exist.
    low, high : float
        Ends of the 95% interval; NaN if there is none.
    n, seeds : int
        Numbers of samples and of seeds.
    """

    mean: float
    low: float
    high: float
    n: int
    seeds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        values = {"mean": self.mean, "low": self.low, "high": self.high}
        plain: dict[str, Any] = {key: value if np.isfinite(value) else None for key, value in values.items()}
        return plain | {"n": self.n} | ({"seeds": self.seeds} if self.seeds > 1 else {})


def _ratio_of_sums(top: Array, bottom: Array, axis: int = -1) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sum(top, axis=axis) / np.sum(bottom, axis=axis))


def _rounded(x: Array) -> Array:
    """Round to about 12 digits, so that the order of a sum does not matter.

    BCa counts the resamples that lie below the figure. With few samples, many resamples only reorder the samples and
    equal the figure itself; rounding errors must not break these ties.
    """
    mantissa, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**40) / 2.0**40, exponent))


def _estimates(data: tuple[Array, ...], statistic: Any, seed: int) -> list[Estimate]:
    """One estimate per column of arrays (samples, columns)."""
    n, columns = data[0].shape
    point = statistic(*data, axis=0)
    low, high = np.full(columns, np.nan), np.full(columns, np.nan)
    moving = np.isfinite(point)
    if n > 1:
        leave_one_out = [statistic(*(np.delete(rows, i, axis=0) for rows in data), axis=0) for i in range(n)]
        # If no sample changes the statistic, its interval is the point itself; BCa is undefined there.
        still = moving & (np.ptp(leave_one_out, axis=0) <= 1e-12 * np.maximum(1.0, np.abs(point)))
        low[still] = high[still] = point[still]
        moving &= ~still
    if n > 1 and moving.any():
        chosen = tuple(rows[:, moving] for rows in data)
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
            for method in ("BCa", "percentile"):  # percentile if BCa gives no interval
                interval = scipy.stats.bootstrap(
                    chosen,
                    lambda *rows, axis: _rounded(statistic(*rows, axis=axis)),
                    paired=len(data) > 1,
                    vectorized=True,
                    axis=0,
                    n_resamples=_RESAMPLES,
                    confidence_level=CONFIDENCE,
                    method=method,
                    rng=np.random.default_rng(seed),
                ).confidence_interval
                for bound, new in ((low, interval.low), (high, interval.high)):
                    current = bound[moving]
                    bound[moving] = np.where(np.isfinite(current), current, new)
    # For tiny skewed samples, BCa can shift the interval away from the point; widen it to contain the point.
    low, high = np.fmin(low, point), np.fmax(high, point)
    if n == 1:
        low, high = np.full(columns, np.nan), np.full(columns, np.nan)
    return [Estimate(float(m), float(a), float(b), n) for m, a, b in zip(point, low, high, strict=True)]


@lru_cache(maxsize=32)
def resample_counts(seeds: int, samples: int, seed: int = 0) -> tuple[Array, Array]:
    """How often each seed and each sample is drawn: (resamples, seeds) and (resamples, samples).

    All seeds are read on the same samples, so seeds and samples are drawn independently. Of S seeds only S - 1 are
    drawn: S draws would give (S - 1) / S of the variance, which is half of it for two seeds (McCarthy & Snowden 1985).
    The arrays are cached: do not write to them.
    """
    rng = np.random.default_rng(seed)
    of_seeds = rng.multinomial(max(1, seeds - 1), np.full(seeds, 1 / seeds), size=_RESAMPLES)
    of_samples = rng.multinomial(samples, np.full(samples, 1 / samples), size=_RESAMPLES)
    return of_seeds.astype(np.float64), of_samples.astype(np.float64)


@lru_cache(maxsize=8)
def _weights(seeds: int, samples: int, seed: int) -> Array:
    """Weight of each pair of seed and sample in each resample, (resamples, seeds * samples). Cached: do not write."""
    of_seeds, of_samples = resample_counts(seeds, samples, seed)
    counts = (of_seeds[:, :, None] * of_samples[:, None, :]).reshape(_RESAMPLES, seeds * samples)
    return np.asarray(counts / counts.sum(1, keepdims=True))


def resampled_means(*data: ArrayLike, seed: int = 0) -> list[Array]:
    """Means of arrays over samples (and seeds), for the data and for bootstrap resamples that all arrays share.

    Parameters
    ----------
    *data : array_like
        Each of shape (samples, columns) or (seeds, samples, columns), with the same seeds and samples.

    Returns
    -------
    list of ndarray
        Each (1 + resamples, columns); row 0 holds the means of the data.
    """
    arrays = [np.asarray(values, dtype=np.float64) for values in data]
    arrays = [array[None] if array.ndim == 2 else array for array in arrays]
    seeds, n, _ = arrays[0].shape
    weights = np.concatenate((np.full((1, seeds * n), 1 / (seeds * n)), _weights(seeds, n, seed)))
    return [np.asarray(weights @ array.reshape(seeds * n, -1)) for array in arrays]


def resampled(
    statistic: Callable[..., Array], *data: ArrayLike, seed: int = 0
) -> tuple[float, float, float, int, int]:
    """A statistic of weighted means, with its percentile interval over samples and seeds.

    Parameters
    ----------
    statistic : callable
        From the means of each array over seeds and samples, (resamples, columns), to the figure, (resamples,).
    *data : array_like
        As for `resampled_means`.
    seed : int
        Seed of the resamples.

    Returns
    -------
    tuple
        The figure, low and high end of its interval (NaN for one sample), number of samples, number of seeds: the
        fields of `Estimate`.
    """
    first = np.asarray(data[0])
    n, seeds = first.shape[-2], 1 if first.ndim == 2 else len(first)
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = np.asarray(statistic(*resampled_means(*data, seed=seed)))
    point, resamples = float(figures[0]), figures[1:]
    if n == 1 or not np.isfinite(resamples).any():
        return point, np.nan, np.nan, n, seeds
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(resamples, [tail, 1 - tail])
    return point, float(np.fmin(low, point)), float(np.fmax(high, point)), n, seeds


def _over_seeds(data: tuple[Array, ...], statistic: Callable[..., Array], seed: int) -> list[Estimate]:
    """One estimate per column of arrays (seeds, samples, columns)."""
    columns = range(data[0].shape[-1])
    return [
        Estimate(*resampled(statistic, *(rows[..., c : c + 1] for rows in data), seed=seed)) for c in columns
    ]


def mean_estimates(values: ArrayLike, seed: int = 0) -> list[Estimate]:
    """Mean of each column with its 95% bootstrap interval.

    Parameters
    ----------
    values : array_like
        (samples, columns): BCa interval over samples. (seeds, samples, columns), all seeds on the same samples:
        percentile interval over seeds and samples, drawn independently.
    seed : int
        Seed of the resamples.

    Returns
    -------
    list of Estimate
        One for each column.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 3:
        return _over_seeds((array,), lambda mean: mean[:, 0], seed)
    return _estimates((array,), np.mean, seed)


def mean_estimate(values: ArrayLike, seed: int = 0) -> Estimate:
    """Mean of (samples,) or (seeds, samples) with its 95% bootstrap interval, as in `mean_estimates`.

    Parameters
    ----------
    values : array_like
        (samples,), or (seeds, samples) with all seeds on the same samples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Estimate
        In the units of `values`.
    """
    return mean_estimates(np.asarray(values, dtype=np.float64)[..., None], seed)[0]


def ratio_estimates(top: ArrayLike, bottom: ArrayLike, seed: int = 0) -> list[Estimate]:
    """Ratio of sums of each column, with its 95% bootstrap interval.

    `top` and `bottom` have the shapes of `mean_estimates` and are resampled together. NaN for 0 / 0.

    Parameters
    ----------
    top, bottom : array_like
        (samples, columns), or (seeds, samples, columns).
    seed : int
        Seed of the resamples.

    Returns
    -------
    list of Estimate
        One for each column.
    """
    data = (np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64))
    if data[0].ndim == 3:
        return _over_seeds(data, lambda a, b: a[:, 0] / b[:, 0], seed)
    return _estimates(data, _ratio_of_sums, seed)


def ratio_estimate(top: ArrayLike, bottom: ArrayLike, seed: int = 0) -> Estimate:
    """Ratio of sums of two arrays (samples,) or (seeds, samples), as in `ratio_estimates`.

    Parameters
    ----------
    top, bottom : array_like
        (samples,), or (seeds, samples).
    seed : int
        Seed of the resamples.

    Returns
    -------
    Estimate
    """
    columns = [np.asarray(values, dtype=np.float64)[..., None] for values in (top, bottom)]
    return ratio_estimates(columns[0], columns[1], seed)[0]


def correlation(x: ArrayLike, y: ArrayLike, seed: int = 0) -> Estimate:
    """Pearson's correlation of two arrays (runs,), with its 95% BCa bootstrap interval; NaN for fewer than 4 runs.

    Parameters
    ----------
    x, y : array_like
        One number for each run, (runs,).
    seed : int
        Seed of the resamples.

    Returns
    -------
    Estimate
        -1 to 1.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) < 4 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Estimate(np.nan, np.nan, np.nan, len(a))
    pearson = scipy.stats.pearsonr(a, b)
    low = high = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample that repeats one run has no correlation
        for method in ("BCa", "percentile"):  # percentile if BCa gives no interval
            if not np.isfinite(low + high):
                resampling = scipy.stats.BootstrapMethod(
                    _RESAMPLES, method=method, rng=np.random.default_rng(seed)
                )
                low, high = pearson.confidence_interval(CONFIDENCE, resampling)
    return Estimate(float(pearson.statistic), float(low), float(high), len(a))
