"""Means and ratios over samples, with bootstrap intervals."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]

CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure over n samples with its 95% interval; NaN where there is nothing to tell."""

    mean: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        values = {"mean": self.mean, "low": self.low, "high": self.high}
        return {key: value if np.isfinite(value) else None for key, value in values.items()} | {"n": self.n}


def _ratio_of_sums(top: Array, bottom: Array, axis: int = -1) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sum(top, axis=axis) / np.sum(bottom, axis=axis))


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
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            for method in ("BCa", "percentile"):  # the second where the first gives none
                interval = stats.bootstrap(
                    chosen,
                    statistic,
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


def mean_estimates(values: ArrayLike, seed: int = 0) -> list[Estimate]:
    """Mean of each column of (samples, columns) with its 95% BCa bootstrap interval over samples."""
    return _estimates((np.asarray(values, dtype=np.float64),), np.mean, seed)


def mean_estimate(values: ArrayLike, seed: int = 0) -> Estimate:
    """Mean of (samples,) with its 95% BCa bootstrap interval."""
    return mean_estimates(np.asarray(values, dtype=np.float64)[:, None], seed)[0]


def ratio_estimates(top: ArrayLike, bottom: ArrayLike, seed: int = 0) -> list[Estimate]:
    """Ratio of sums over samples, per column of two (samples, columns) arrays resampled together; NaN for 0 / 0."""
    data = (np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64))
    return _estimates(data, _ratio_of_sums, seed)


def ratio_estimate(top: ArrayLike, bottom: ArrayLike, seed: int = 0) -> Estimate:
    """Ratio of sums over samples of two (samples,) arrays, resampled together."""
    columns = [np.asarray(values, dtype=np.float64)[:, None] for values in (top, bottom)]
    return ratio_estimates(columns[0], columns[1], seed)[0]
