"""The zero and the one of a share: chance level, ceiling, the share between them, interval and p (METHOD 5)."""

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

# Orders of the samples that a p-value counts.
PERMUTATIONS = 1999


def interval(resamples: Array, n: int) -> tuple[float, float]:
    """95% percentile interval of a figure from its resamples over n samples; nan where there is none.

    Percentiles of few samples' resamples lie too near to each other; they are taken as far out as Student's t has them
    (the expanded percentile interval of Hesterberg, The American Statistician 69, 2015).
    """
    if n < 2 or not np.isfinite(resamples).any():
        return np.nan, np.nan
    tail = float(scipy.stats.norm.cdf(np.sqrt(n / (n - 1)) * scipy.stats.t.ppf((1 - CONFIDENCE) / 2, n - 1)))
    low, high = np.nanquantile(resamples, [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Levels:
    """Observed share, floor and ceiling, of any shape alike; nan where there is no strength, no other sample.

    Attributes
    ----------
    observed, floor, ceiling : ndarray
        `ceiling` is nan where nothing was read twice.
    """

    observed: Array
    floor: Array
    ceiling: Array

    @property
    def corrected(self) -> Array:
        """kappa = (s - f) / (c - f), never clipped: 0 no more than chance, 1 as much as two readings of one model."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.observed - self.floor) / (self.ceiling - self.floor))


def levels(
    crossed: Crossed,
    of_seeds: Array,
    of_samples: Array,
    classes: NDArray[Any] | None = None,
) -> Levels:
    """Levels under weights of seeds and samples: of the data themselves with weights 1, of resamples with their counts.

    A sample that was drawn twice is not paired with itself: floors are over different samples only.

    Parameters
    ----------
    crossed : Crossed
        With or without an axis of seeds.
    of_seeds, of_samples : ndarray
        (resamples, seeds) and (resamples, samples).
    classes : ndarray, optional
        Of the samples: the floor is over other samples of the same class.

    Returns
    -------
    Levels
        Each of shape (resamples, orders or groups of them).
    """
    common, whole = (crossed.common, crossed.whole)
    if common.ndim == 3:
        common, whole = common[None], whole[None]
    samples = whole.shape[1]
    partner = ~np.eye(samples, dtype=bool)
    if classes is not None:
        partner &= classes[:, None] == classes

    def total(values: Array) -> Array:
        """Weighted sum of ([seeds,] samples, groups)."""
        each = values[None] if values.ndim == 2 else values
        return np.asarray(np.einsum("rs,ri,sig->rg", of_seeds, of_samples, each, optimize=True))

    size = total(whole)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = total(np.einsum("siig->sig", common)) / size
        # Of each sample, its share with the others in the mean over them, as if there were one for each.
        others = of_samples @ partner
        top = np.zeros_like(size)
        for s, one in enumerate(common):
            for g in range(one.shape[-1]):
                mean = of_samples @ np.where(partner, one[..., g], 0.0).T / others
                top[:, g] += of_seeds[:, s] * np.nansum(of_samples * mean, axis=1)
        paired = of_samples * (others > 0)
        bottom = np.einsum("rs,ri,sig->rg", of_seeds, paired, whole, optimize=True)
        floor = top / bottom
        ceiling = np.full_like(size, np.nan)
        if crossed.again:
            ceiling = common_ceiling(*(total(found) / total(strength) for found, strength in crossed.again))
        if crossed.third:
            first, second, third = (total(found) / total(strength) for found, strength in crossed.third)
            usual = common_ceiling(first, second)
            # Lower where the third model is read less reliably than the other two.
            ceiling = ceiling * np.minimum(common_ceiling(usual, third) / usual, 1.0)
    return Levels(observed, floor, ceiling)


def common_ceiling(*reliabilities: Array) -> Array:
    """What readings of models that know the same share, from how much of each a second reading finds again.

    1 - (mean of (1 - r)^4)^(1/4): r where all are alike, and near the least one where they are not. The geometric mean
    of METHOD 5c agrees where reliabilities are alike; where they are 1.0 and 0.7, it makes kappa 0.11 too low, this one
    0.004 (docs/calibration.md).
    """
    return np.asarray(1 - np.mean([(1 - one) ** 4 for one in reliabilities], axis=0) ** 0.25)


def point(crossed: Crossed, classes: NDArray[Any] | None = None) -> Levels:
    """Levels of the data themselves, (groups,)."""
    found = levels(crossed, np.ones((1, crossed.seeds)), np.ones((1, crossed.whole.shape[-2])), classes)
    return Levels(found.observed[0], found.floor[0], found.ceiling[0])


def resampled_levels(crossed: Crossed, seed: int = 0, classes: NDArray[Any] | None = None) -> Levels:
    """Levels of each bootstrap resample of samples (and seeds), all computed anew inside: (resamples, groups)."""
    return levels(crossed, *resample_counts(crossed.seeds, crossed.whole.shape[-2], seed), classes)


@lru_cache(maxsize=32)
def permutations(samples: int, classes: tuple[Any, ...] | None = None) -> NDArray[np.int64] | None:
    """Random orders of the samples, (some, samples), no order twice where there are few; with classes, within these.

    None where no sample can change its place.
    """
    rng = np.random.default_rng([0, samples])
    found = np.tile(np.arange(samples), (PERMUTATIONS, 1))
    named = (
        np.zeros(samples, int) if classes is None else np.unique(np.asarray(classes), return_inverse=True)[1]
    )
    for name in range(named.max(initial=-1) + 1):
        group = np.flatnonzero(named == name)
        found[:, group] = rng.permuted(found[:, group], axis=1)
    if not (found != np.arange(samples)).any():
        return None
    different = np.unique(found, axis=0)
    return different if len(different) < len(found) else found


def p_values(crossed: Crossed, classes: Sequence[Any] | None = None) -> Array | None:
    """How rarely the samples in another order share as much: one p for each group of orders.

    p = (1 + orders whose share is at least as large) / (1 + orders). Each sample's interactions are first divided by
    their sum of abs(I): else two models that are stronger on the same samples would seem to share. All orders are
    drawn, not only those that move every sample: with these alone twice as many false alarms are raised as are meant
    (docs/calibration.md). Several groups are judged together by the largest of their standardised shares, so that the
    chance that any of them is called above chance holds.

    Returns
    -------
    ndarray or None
        (groups,); None where no sample has a partner.
    """
    each = crossed.each if crossed.each.ndim == 4 else crossed.each[None]
    samples = each.shape[1]
    orders = permutations(samples, None if classes is None else tuple(classes))
    if orders is None:
        return None
    pooled = each.sum(0)
    observed = np.einsum("iig->g", pooled)
    mixed = np.zeros((len(orders), pooled.shape[-1]))
    for i in range(samples):
        mixed += pooled[i, orders[:, i]]
    if pooled.shape[-1] > 1:
        middle, spread = mixed.mean(0), mixed.std(0)
        spread = np.where(spread > 0, spread, np.inf)
        observed = (observed - middle) / spread
        mixed = ((mixed - middle) / spread).max(1, keepdims=True)
    # Sums in another order differ in the last digits; that makes no share larger.
    exceeding = (mixed >= observed - 1e-9 * np.abs(observed) - 1e-12).sum(0)
    return np.asarray((1 + exceeding) / (1 + len(orders)))


def unreliable(floor: float, ceiling: float, least_room: float, n: int) -> str | None:
    """Why there is no scale between floor and ceiling; None where there is one."""
    if not np.isfinite(floor):
        return "no other sample to compare with" if n < 2 else "no strength to take a share of"
    if not np.isfinite(ceiling):
        return "no second reading of the models; exact readings need retests or twins for a ceiling"
    if not least_room > 0:
        return (
            f"a second reading of the same models finds {100 * ceiling:.1f}% again, and other samples share "
            f"{100 * floor:.1f}%: too near to each other to tell knowledge from noise; more masks or samples may help"
        )
    return None
