"""Which samples one model has right and another wrong, and whether the flips are more than luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # scipy.stats, half a second, is imported at its first use
from numpy.typing import ArrayLike, NDArray

from bequeath.errors import BequeathError
from bequeath.knowledge.paired import paired_difference
from bequeath.knowledge.statistics import Estimate


@dataclass(frozen=True)
class Flips:
    """Right before and after, counted over the same samples.

    Attributes
    ----------
    both, forgotten, learned, neither : int
        Samples that are right in both models; before only; after only; in neither.
    change : Estimate
        Accuracy after less accuracy before, from -1 to 1, with its 95% interval over samples (`paired_difference`).
    p : float
        Of the exact test of McNemar (1947): how often as uneven a split of the flips, or a more uneven one, comes of
        tossing a coin for each. 1 where nothing flips.
    """

    both: int
    forgotten: int
    learned: int
    neither: int
    change: Estimate
    p: float

    @property
    def n(self) -> int:
        """Samples."""
        return self.both + self.forgotten + self.learned + self.neither


def flips(before: ArrayLike, after: ArrayLike, comparisons: int = 1) -> Flips:
    """Compare two models' right and wrong answers on the same samples.

    Parameters
    ----------
    before, after : array_like
        1 where a model is right, else 0: shape (samples,), in the same order.
    comparisons : int
        So many such intervals are to hold together (Bonferroni).

    Returns
    -------
    Flips

    Raises
    ------
    BequeathError
        If they are not of the same samples, or hold other numbers.

    References
    ----------
    McNemar (1947), Note on the sampling error of the difference between correlated proportions. Psychometrika 12.
    """
    first, second = _checked(before, after)
    forgotten, learned = int((first > second).sum()), int((first < second).sum())
    both = int((first * second).sum())
    flipped = forgotten + learned
    p = float(scipy.stats.binomtest(forgotten, flipped, 0.5).pvalue) if flipped else 1.0
    change = paired_difference(second, first, comparisons)
    return Flips(both, forgotten, learned, len(first) - both - flipped, change, p)


def flips_by_class(before: ArrayLike, after: ArrayLike, labels: Sequence[int]) -> dict[int, Flips]:
    """The same for the samples of each class; intervals and p of all classes hold together (Bonferroni; Holm 1979).

    Parameters
    ----------
    before, after : array_like
        As for `flips`.
    labels : sequence of int
        Each sample's class.
    """
    first, second = _checked(before, after)
    classes = np.asarray(labels)
    groups = {int(one): classes == one for one in np.unique(classes)}
    found = {one: flips(first[of], second[of], len(groups)) for one, of in groups.items()}
    held = holm([one.p for one in found.values()])
    return {one: replace(of, p=p) for (one, of), p in zip(found.items(), held, strict=True)}


def holm(p: Sequence[float]) -> list[float]:
    """p-values that hold together: the k-th smallest of m times m - k + 1, never falling, at most 1."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    held = np.empty(len(p))
    held[order] = np.minimum(stepped, 1.0)
    return [float(one) for one in held]


def again(before: ArrayLike, after: ArrayLike, twin: ArrayLike) -> tuple[int, int]:
    """How many of the forgotten and of the learned samples another seed of the model after has forgotten and learned,
    too: what does not come again is this run's luck.

    Parameters
    ----------
    before, after, twin : array_like
        As for `flips`.
    """
    first, second = _checked(before, after)
    _, other = _checked(before, twin)
    return int(((first > second) & (first > other)).sum()), int(((first < second) & (first < other)).sum())


def _checked(before: ArrayLike, after: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise BequeathError(
            f"flips: answers of shape {first.shape} and {second.shape}; give 1 or 0 for each of the same samples"
        )
    for one in (first, second):
        if not np.isin(one, (0, 1)).all():
            raise BequeathError("flips: answers other than 0 and 1; give 1 where a model is right, else 0")
    return first, second
