"""What a comparison comes to on each sample: the numbers that shares, claims and pooling over seeds are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bequeath.errors import BequeathError
from bequeath.knowledge.regions import Comparison
from bequeath.knowledge.statistics import Estimate, mean_estimate, ratio_estimate

Array = NDArray[np.float64]

# Strengths that are kept of each sample; discarded and new are the rest of the first two.
STRENGTHS = ("pretrained", "finetuned", "scratch", "preserved", "relearned")
# Share -> the strength that it is a part of.
WHOLE = {
    "preserved": "pretrained",
    "discarded": "pretrained",
    "new": "finetuned",
    "relearned": "preserved",
}


@dataclass(frozen=True)
class Measures:
    """Strengths of one comparison, or of one for each seed.

    Attributes
    ----------
    by_order : dict of str to ndarray
        For each of `STRENGTHS`: sum of |I| over both types, shape (samples, n), orders from 1; with an axis of seeds in
        front where there are several, on the same samples.
    """

    by_order: dict[str, Array]

    @classmethod
    def of(cls, comparison: Comparison) -> Measures:
        """Of one comparison."""
        sums = comparison.by_order()
        return cls({name: sums[name].sum(1)[..., 1:].numpy() for name in STRENGTHS})

    @classmethod
    def stacked(cls, seeds: Sequence[Mapping[str, object]]) -> Measures:
        """Of several seeds, each as `by_order` or lists of its shape.

        Raises
        ------
        BequeathError
            If they are not on the same samples and players.
        """
        arrays = [{name: np.asarray(one[name], dtype=np.float64) for name in STRENGTHS} for one in seeds]
        shapes = {array.shape for one in arrays for array in one.values()}
        if len(shapes) != 1:
            raise BequeathError(
                f"seeds: strengths of shapes {sorted(shapes)}; all need the same samples and players"
            )
        return cls({name: np.stack([one[name] for one in arrays]) for name in STRENGTHS})

    def total(self, name: str) -> Array:
        """Strength over all orders, (..., samples): of `STRENGTHS`, discarded or new."""
        if name in ("discarded", "new"):
            return self.total(WHOLE[name]) - self.total("preserved")
        return np.asarray(self.by_order[name].sum(-1))

    def share(self, name: str) -> Estimate:
        """Ratio of sums over samples (and seeds): preserved, discarded, new or relearned."""
        return ratio_estimate(self.total(name), self.total(WHOLE[name]))

    def fall_with_order(self) -> Estimate:
        """Mean over samples of the preserved share at low orders (up to n/2) minus that at high orders."""
        preserved, whole = self.by_order["preserved"], self.by_order["pretrained"]
        half = whole.shape[-1] // 2
        low, high = (
            preserved[..., part].sum(-1) / np.maximum(whole[..., part].sum(-1), 1e-300)
            for part in (slice(None, half), slice(half, None))
        )
        return mean_estimate(low - high)


@dataclass(frozen=True)
class Readings:
    """One comparison read in three ways, which a verdict must not depend on.

    Attributes
    ----------
    measures : Measures
        By the study's decomposition and normalisation.
    reference : Measures
        By plain AND interactions, which are unique without any choice.
    scaled : Measures
        By the study's decomposition, each model's interactions divided by its own mean L1 norm.
    """

    measures: Measures
    reference: Measures
    scaled: Measures
