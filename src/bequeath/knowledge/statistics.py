"""Means and ratios over samples, and over seeds where there are several, with bootstrap intervals; paired tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
_RESAMPLES = 2000
_SWAPS = 4999


@dataclass(frozen=True)
class Estimate:
    """A figure over n samples (and seeds, where there are several) with its 95% interval; NaN for nothing to tell."""

    mean: float
    low: float
    high: float
    n: int
    seeds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        values = {"mean": self.mean, "low": self.low, "high": self.high}
        found: dict[str, Any] = {key: value if np.isfinite(value) else None for key, value in values.items()}
        return found | {"n": self.n} | ({"seeds": self.seeds} if self.seeds > 1 else {})


def _ratio_of_sums(top: Array, bottom: Array, axis: int = -1) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sum(top, axis=axis) / np.sum(bottom, axis=axis))


def _rounded(x: Array) -> Array:
    """To about 12 digits: resamples that only reorder the samples equal the figure itself, whatever was added up first.

    BCa counts how many resamples lie below the figure. With few samples such ties are many, and rounding must not break
    them.
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
        # A statistic that no sample can move has the point itself as its interval; BCa is undefined there.
        still = moving & (np.ptp(leave_one_out, axis=0) <= 1e-12 * np.maximum(1.0, np.abs(point)))
        low[still] = high[still] = point[still]
        moving &= ~still
    if n > 1 and moving.any():
        chosen = tuple(rows[:, moving] for rows in data)
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
            for method in ("BCa", "percentile"):  # the second where the first gives none
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
                for bound, found in ((low, interval.low), (high, interval.high)):
                    current = bound[moving]
                    bound[moving] = np.where(np.isfinite(current), current, found)
    # The BCa shift can leave the point itself outside for tiny skewed samples; an interval contains its figure.
    low, high = np.fmin(low, point), np.fmax(high, point)
    if n == 1:
        low, high = np.full(columns, np.nan), np.full(columns, np.nan)
    return [Estimate(float(m), float(a), float(b), n) for m, a, b in zip(point, low, high, strict=True)]


@lru_cache(maxsize=32)
def resample_counts(seeds: int, samples: int, seed: int = 0) -> tuple[Array, Array]:
    """How often each seed and each sample is drawn: (resamples, seeds) and (resamples, samples). Not to be changed.

    Every seed is read on the same samples, so both are drawn by themselves. Of S seeds S - 1 are drawn: drawing S would
    give only (S - 1) / S of the variance, half of it for two (McCarthy & Snowden 1985).
    """
    rng = np.random.default_rng(seed)
    of_seeds = rng.multinomial(max(1, seeds - 1), np.full(seeds, 1 / seeds), size=_RESAMPLES)
    of_samples = rng.multinomial(samples, np.full(samples, 1 / samples), size=_RESAMPLES)
    return of_seeds.astype(np.float64), of_samples.astype(np.float64)


@lru_cache(maxsize=8)
def _weights(seeds: int, samples: int, seed: int) -> Array:
    """Share of each pair of seed and sample in each resample: shape (resamples, seeds * samples). Not to be changed."""
    of_seeds, of_samples = resample_counts(seeds, samples, seed)
    counts = (of_seeds[:, :, None] * of_samples[:, None, :]).reshape(_RESAMPLES, seeds * samples)
    return np.asarray(counts / counts.sum(1, keepdims=True))


def resampled_means(*data: ArrayLike, seed: int = 0) -> list[Array]:
    """Means over samples (and seeds) of arrays, and of their resamples, all drawn together.

    Parameters
    ----------
    *data : array_like
        Each of shape (samples, columns) or (seeds, samples, columns), with the same seeds and samples.

    Returns
    -------
    list of ndarray
        Each (1 + resamples, columns): the data's own means first.
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
        From the means of each array over seeds and samples, (resamples, columns), to one figure each, (resamples,).
    *data : array_like
        As of `resampled_means`.

    Returns
    -------
    tuple
        The figure, its low and high end (NaN for one sample), numbers of samples and seeds.
    """
    first = np.asarray(data[0])
    n, seeds = first.shape[-2], 1 if first.ndim == 2 else len(first)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(statistic(*resampled_means(*data, seed=seed)))
    point, found = float(found[0]), found[1:]
    if n == 1 or not np.isfinite(found).any():
        return point, np.nan, np.nan, n, seeds
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])
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
        (samples, columns): BCa over samples. (seeds, samples, columns), all seeds on the same samples: percentile over
        both, each drawn by itself.
    seed : int
        Of the resamples.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 3:
        return _over_seeds((array,), lambda mean: mean[:, 0], seed)
    return _estimates((array,), np.mean, seed)


def mean_estimate(values: ArrayLike, seed: int = 0) -> Estimate:
    """Mean of (samples,) or (seeds, samples), as `mean_estimates`."""
    return mean_estimates(np.asarray(values, dtype=np.float64)[..., None], seed)[0]


def ratio_estimates(top: ArrayLike, bottom: ArrayLike, seed: int = 0) -> list[Estimate]:
    """Ratio of sums, per column of two arrays as in `mean_estimates`, resampled together; NaN for 0 / 0."""
    data = (np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64))
    if data[0].ndim == 3:
        return _over_seeds(data, lambda a, b: a[:, 0] / b[:, 0], seed)
    return _estimates(data, _ratio_of_sums, seed)


def ratio_estimate(top: ArrayLike, bottom: ArrayLike, seed: int = 0) -> Estimate:
    """Ratio of sums of two arrays (samples,) or (seeds, samples), resampled together."""
    columns = [np.asarray(values, dtype=np.float64)[..., None] for values in (top, bottom)]
    return ratio_estimates(columns[0], columns[1], seed)[0]


def swap_test(
    statistic: Callable[[Sequence[Array], Sequence[Array]], Array],
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    seed: int = 0,
) -> float:
    """Two-sided p of no difference between two paired groups: their samples are swapped at random.

    Parameters
    ----------
    statistic : callable
        From the means of each group's arrays over samples, lists of (some, columns), to their difference, (some,).
    first, second : sequence of array_like
        Each (samples, columns), or (seeds, samples, columns), of which the means over seeds are taken first: samples
        are what is exchanged.
    """
    one, two = ([_over_first_axis(values) for values in group] for group in (first, second))
    n = len(one[0])
    if n < 2:
        return 1.0
    swaps = _swaps(n, seed)

    def means(a: Sequence[Array], b: Sequence[Array]) -> list[Array]:
        return [(swaps @ y + (1 - swaps) @ x) / n for x, y in zip(a, b, strict=True)]

    found = np.abs(statistic(means(one, two), means(two, one)))
    # The first row swaps nothing. Sums in another order differ in the last digits; that makes nothing larger.
    return float((found >= found[0] * (1 - 1e-9) - 1e-12).mean())


def _over_first_axis(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return array if array.ndim == 2 else np.asarray(array.mean(0))


@lru_cache(maxsize=8)
def _swaps(n: int, seed: int) -> Array:
    """All ways to swap n samples where they are few, else random ones; none swapped first: 0 or 1, (ways, n)."""
    if n <= 12:
        return np.asarray((np.arange(2**n)[:, None] >> np.arange(n)) & 1, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, 2, size=(_SWAPS, n))
    return np.concatenate((np.zeros((1, n)), drawn))


def correlation(x: ArrayLike, y: ArrayLike, seed: int = 0) -> Estimate:
    """Pearson's correlation over runs, (runs,) each, with its 95% BCa bootstrap interval; NaN for fewer than 4 runs."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) < 4 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Estimate(np.nan, np.nan, np.nan, len(a))
    found = scipy.stats.pearsonr(a, b)
    low = high = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # resamples of one run alone have no correlation
        for method in ("BCa", "percentile"):  # the second where the first gives none
            if not np.isfinite(low + high):
                resampling = scipy.stats.BootstrapMethod(
                    _RESAMPLES, method=method, rng=np.random.default_rng(seed)
                )
                low, high = found.confidence_interval(CONFIDENCE, resampling)
    return Estimate(float(found.statistic), float(low), float(high), len(a))
