"""Calibration of a share: floor (chance level), ceiling (reliability), corrected share, interval and p-value.

Source: docs/method.md, section "Measures with a zero and a one".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import NDArray

from bequeath.knowledge.crossings import Array, Crossed
from bequeath.knowledge.statistics import CONFIDENCE, resample_counts

# Number of permutations of the samples in a permutation test.
PERMUTATIONS = 1999


def interval(resamples: Array, n: int) -> tuple[float, float]:
    """95% percentile interval of a figure from its bootstrap resamples over n samples; NaN if there is none.

    With few samples a plain percentile interval is too narrow. Its percentiles are therefore moved outwards to match
    Student's t (the expanded percentile interval of Hesterberg, The American Statistician 69, 2015).

    Parameters
    ----------
    resamples : ndarray
        The figure in each bootstrap resample, (resamples,).
    n : int
        Number of samples.

    Returns
    -------
    low, high : float
        In the units of the figure.
    """
    if n < 2 or not np.isfinite(resamples).any():
        return np.nan, np.nan
    tail = float(scipy.stats.norm.cdf(np.sqrt(n / (n - 1)) * scipy.stats.t.ppf((1 - CONFIDENCE) / 2, n - 1)))
    low, high = np.nanquantile(resamples, [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Levels:
    """Observed share, floor and ceiling: arrays of one shape.

    Attributes
    ----------
    observed, floor, ceiling : ndarray
        `observed` is NaN without any strength, `floor` without another sample, `ceiling` without second readings.
    """

    observed: Array
    floor: Array
    ceiling: Array

    @property
    def corrected(self) -> Array:
        """kappa = (s - f) / (c - f), never clipped. 0: chance level; 1: as much as two readings of one model share."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.observed - self.floor) / (self.ceiling - self.floor))


def levels(
    crossed: Crossed,
    of_seeds: Array,
    of_samples: Array,
    classes: NDArray[Any] | None = None,
) -> Levels:
    """Levels with weighted seeds and samples: weights of 1 for the data themselves, counts for bootstrap resamples.

    A sample that was drawn twice is not paired with itself: the floor takes pairs of different samples only.

    Parameters
    ----------
    crossed : Crossed
        With or without an axis of seeds.
    of_seeds, of_samples : ndarray
        Weights (resamples, seeds) and (resamples, samples).
    classes : ndarray, optional
        Classes of the samples. With them, the floor takes pairs of samples of the same class only.

    Returns
    -------
    Levels
        Each of shape (resamples, groups of orders).
    """
    common, whole = (crossed.common, crossed.whole)
    if common.ndim == 3:
        common, whole = common[None], whole[None]
    samples = whole.shape[1]
    is_partner = ~np.eye(samples, dtype=bool)
    if classes is not None:
        is_partner &= classes[:, None] == classes

    def total(values: Array) -> Array:
        """Weighted sum over seeds and samples of ([seeds,] samples, groups)."""
        by_seed = values[None] if values.ndim == 2 else values
        return np.asarray(np.einsum("rs,ri,sig->rg", of_seeds, of_samples, by_seed, optimize=True))

    size = total(whole)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = total(np.einsum("siig->sig", common)) / size
        # For each sample the mean over its partners, so that each sample counts once.
        partners = of_samples @ is_partner
        top = np.zeros_like(size)
        for seed, of_seed in enumerate(common):
            for group in range(of_seed.shape[-1]):
                mean = of_samples @ np.where(is_partner, of_seed[..., group], 0.0).T / partners
                top[:, group] += of_seeds[:, seed] * np.nansum(of_samples * mean, axis=1)
        paired = of_samples * (partners > 0)
        bottom = np.einsum("rs,ri,sig->rg", of_seeds, paired, whole, optimize=True)
        floor = top / bottom
        ceiling = np.full_like(size, np.nan)
        if crossed.reliabilities:
            ceiling = common_ceiling(
                *(total(part) / total(strength) for part, strength in crossed.reliabilities)
            )
        if crossed.of_three:
            first, second, third = (total(part) / total(strength) for part, strength in crossed.of_three)
            usual = common_ceiling(first, second)
            # Lower if the third model is read less reliably than the other two.
            ceiling = ceiling * np.minimum(common_ceiling(usual, third) / usual, 1.0)
    return Levels(observed, floor, ceiling)


def common_ceiling(*reliabilities: Array) -> Array:
    """The share that two models with the same knowledge would reach, from the reliability r of each.

    The ceiling is 1 - (mean of (1 - r)^4)^(1/4). It equals r if all reliabilities are equal; if they differ it is close
    to the smallest one. The geometric mean (docs/method.md, section "Ceiling") is the same for equal reliabilities; for
    1.0 and 0.7 it makes kappa 0.11 too low, this formula 0.004 (docs/calibration.md).
    """
    return np.asarray(1 - np.mean([(1 - r) ** 4 for r in reliabilities], axis=0) ** 0.25)


def point(crossed: Crossed, classes: NDArray[Any] | None = None) -> Levels:
    """Levels of the data themselves, (groups,)."""
    of_data = levels(crossed, np.ones((1, crossed.seeds)), np.ones((1, crossed.whole.shape[-2])), classes)
    return Levels(of_data.observed[0], of_data.floor[0], of_data.ceiling[0])


def resampled_levels(crossed: Crossed, seed: int = 0, classes: NDArray[Any] | None = None) -> Levels:
    """Levels of each bootstrap resample of samples (and seeds), (resamples, groups).

    Observed share, floor and ceiling are all recomputed within each resample.
    """
    return levels(crossed, *resample_counts(crossed.seeds, crossed.whole.shape[-2], seed), classes)


@lru_cache(maxsize=32)
def permutations(samples: int, classes: tuple[Any, ...] | None = None) -> NDArray[np.int64] | None:
    """Random permutations of the samples, (permutations, samples); with classes, samples move within their class only.

    With few samples, equal permutations are kept once. None if no sample can move.

    Parameters
    ----------
    samples : int
        Number of samples.
    classes : tuple, optional
        Class of each sample.

    Returns
    -------
    ndarray or None
        Indices of the samples in their new order.
    """
    rng = np.random.default_rng([0, samples])
    drawn = np.tile(np.arange(samples), (PERMUTATIONS, 1))
    numbers = (
        np.zeros(samples, int) if classes is None else np.unique(np.asarray(classes), return_inverse=True)[1]
    )
    for number in range(numbers.max(initial=-1) + 1):
        members = np.flatnonzero(numbers == number)
        drawn[:, members] = rng.permuted(drawn[:, members], axis=1)
    if not (drawn != np.arange(samples)).any():
        return None
    different = np.unique(drawn, axis=0)
    return different if len(different) < len(drawn) else drawn


def p_values(crossed: Crossed, classes: Sequence[Any] | None = None) -> Array | None:
    """Permutation test of a share against chance: one p-value for each group of orders.

    p = (1 + permutations whose share is at least as large) / (1 + permutations).

    - The interactions of each sample are first divided by their sum of abs(I). Otherwise two models that are stronger
      on the same samples would seem to share knowledge.
    - All permutations are drawn, not only those that move every sample: the latter alone raise twice as many false
      alarms as intended (docs/calibration.md).
    - Several groups are tested together by the largest standardised share, so that the family of tests holds its level.

    Parameters
    ----------
    crossed : Crossed
        With or without an axis of seeds.
    classes : sequence, optional
        Classes of the samples. With them, samples are exchanged within their class only.

    Returns
    -------
    ndarray or None
        p-values (groups,); None if no sample can be exchanged.
    """
    of_seeds = crossed.each if crossed.each.ndim == 4 else crossed.each[None]
    samples = of_seeds.shape[1]
    drawn = permutations(samples, None if classes is None else tuple(classes))
    if drawn is None:
        return None
    pooled = of_seeds.sum(0)
    observed = np.einsum("iig->g", pooled)
    permuted = np.zeros((len(drawn), pooled.shape[-1]))
    for i in range(samples):
        permuted += pooled[i, drawn[:, i]]
    if pooled.shape[-1] > 1:
        middle, spread = permuted.mean(0), permuted.std(0)
        spread = np.where(spread > 0, spread, np.inf)
        observed = (observed - middle) / spread
        permuted = ((permuted - middle) / spread).max(1, keepdims=True)
    # Sums in another order differ in the last digits, which must not count as larger.
    exceeding = (permuted >= observed - 1e-9 * np.abs(observed) - 1e-12).sum(0)
    return np.asarray((1 + exceeding) / (1 + len(drawn)))


def unreliable(floor: float, ceiling: float, least_room: float, n: int) -> str | None:
    """The reason why floor and ceiling give no scale; None if they do.

    Parameters
    ----------
    floor, ceiling : float
        Of the data; NaN if they do not exist.
    least_room : float
        Lower end of the interval of ceiling minus floor.
    n : int
        Number of samples.

    Returns
    -------
    str or None
    """
    if not np.isfinite(floor):
        return "no other sample to compare with" if n < 2 else "no strength to take a share of"
    if not np.isfinite(ceiling):
        return "no second reading of the models; exact readings need retests or twins for a ceiling"
    if not least_room > 0:
        return (
            f"two readings of the same models share {100 * ceiling:.1f}%, readings of different samples "
            f"{100 * floor:.1f}%: too close to tell knowledge from noise; more masks or samples may help"
        )
    return None
