"""Which samples are right in one model and wrong in another, and whether these flips are more than chance."""

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
    """Counts of right and wrong answers of two models on the same samples.

    Attributes
    ----------
    both, forgotten, learned, neither : int
        Number of samples that are right in both models, only before, only after, in neither.
    change : Estimate
        Accuracy after minus accuracy before, from -1 to 1, with its 95% interval over samples (`paired_difference`).
    p : float
        p-value of the exact test of McNemar (1947): how often fair coin tosses split the flips at least as unevenly.
        1 if nothing flips.
    """

    both: int
    forgotten: int
    learned: int
    neither: int
    change: Estimate
    p: float

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.both + self.forgotten + self.learned + self.neither


def flips(before: ArrayLike, after: ArrayLike, comparisons: int = 1) -> Flips:
    """Compare two models' right and wrong answers on the same samples.

    Parameters
    ----------
    before, after : array_like
        1 where a model is right, else 0: shape (samples,), in the same order.
    comparisons : int
        Number of intervals that hold together (Bonferroni).

    Returns
    -------
    Flips

    Raises
    ------
    BequeathError
        If the arrays have different shapes, or hold numbers other than 0 and 1.

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
    """Flips within each class. Intervals (Bonferroni) and p-values (Holm 1979) of all classes hold together.

    Parameters
    ----------
    before, after : array_like
        As for `flips`.
    labels : sequence of int
        Class of each sample.

    Returns
    -------
    dict of int to Flips
        By class.
    """
    first, second = _checked(before, after)
    classes = np.asarray(labels)
    members = {int(label): classes == label for label in np.unique(classes)}
    by_class = {label: flips(first[rows], second[rows], len(members)) for label, rows in members.items()}
    adjusted = holm([of_class.p for of_class in by_class.values()])
    return {
        label: replace(of_class, p=p) for (label, of_class), p in zip(by_class.items(), adjusted, strict=True)
    }


def holm(p: Sequence[float]) -> list[float]:
    """p-values of m tests, adjusted so that they hold together (Holm 1979).

    The k-th smallest p is multiplied by m - k + 1; the results never fall with k and are at most 1.
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def flips_in_twin(before: ArrayLike, after: ArrayLike, twin: ArrayLike) -> tuple[int, int]:
    """How many of the flips also occur in a twin: another training seed of the model after.

    Flips that the twin does not share are due to this one training run.

    Parameters
    ----------
    before, after, twin : array_like
        1 where a model is right, else 0: shape (samples,), in the same order.

    Returns
    -------
    forgotten, learned : int
        Number of samples that both `after` and `twin` have forgotten, and that both have learned.
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
    for answers in (first, second):
        if not np.isin(answers, (0, 1)).all():
            raise BequeathError("flips: answers other than 0 and 1; give 1 where a model is right, else 0")
    return first, second
