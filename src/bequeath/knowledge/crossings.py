"""Strength that two models share: on the same sample (the observed share) and on different samples (the floor).

Source: docs/method.md, sections "Observed", "Floor" and "Ceiling".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.compiled import compiled
from bequeath.printable import one_line

Array = NDArray[np.float64]
Reliabilities = tuple[tuple[Array, Array], ...]
"""For each model: the strength that its second reading shares with the first, and its whole strength."""


@compiled
def _add_shared(first, second, orders, out):  # type: ignore[no-untyped-def]
    """Add min(|a|, |b|) where the signs agree to out (samples, orders, samples).

    first: (samples, columns). second: (columns, samples), so that the inner loop reads memory in order.
    """
    for i in range(first.shape[0]):
        for column in range(first.shape[1]):
            a = first[i, column]
            if a == 0.0:  # most terms of a sparse reading
                continue
            row = out[i, orders[column]]
            for j in range(second.shape[1]):
                b = second[column, j]
                if a > 0.0 and b > 0.0:
                    row[j] += min(a, b)
                elif a < 0.0 and b < 0.0:
                    row[j] -= max(a, b)


def crossed(first: Tensor, second: Tensor, orders: Tensor, most: int) -> Array:
    """Strength shared by the first model on one sample and the second model on another, for every pair of samples.

    Parameters
    ----------
    first, second : Tensor
        Interactions (samples, 2, subsets) on the same subsets; NaN in samples that were not read.
    orders : Tensor
        Number of players in each subset, int64, (subsets,), 1 to `most`. (The empty set has no interaction.)
    most : int
        The largest order.

    Returns
    -------
    ndarray
        (samples, samples, orders from 1). Entry (i, j) is the sum of min(abs(a), abs(b)) where the signs agree, for the
        first model on sample i and the second on sample j, in units of the interactions. NaN if one of the two was not
        read.
    """
    a = np.ascontiguousarray(first.reshape(len(first), -1).cpu().numpy(), dtype=np.float64)
    b = np.ascontiguousarray(second.reshape(len(second), -1).cpu().numpy().T, dtype=np.float64)
    out = np.zeros((len(a), most + 1, b.shape[1]))
    _add_shared(a, b, np.tile(orders.cpu().numpy(), first.shape[1]), out)
    out[np.isnan(a).any(1)] = np.nan
    out[..., np.isnan(b).any(0)] = np.nan
    return np.ascontiguousarray(np.swapaxes(out, 1, 2)[..., 1:])


def strength(effects: Tensor, orders: Tensor, most: int) -> Array:
    """Sum of abs(I) over both types, by order from 1: (samples, most), in units of the interactions.

    Parameters
    ----------
    effects : Tensor
        Interactions (samples, 2, subsets).
    orders : Tensor
        Number of players in each subset, int64, (subsets,).
    most : int
        The largest order.

    Returns
    -------
    ndarray
    """
    size = effects.abs().sum(-2)
    return size.new_zeros(len(size), most + 1).index_add_(-1, orders, size)[:, 1:].cpu().numpy()


def of_strength_one(effects: Tensor) -> Tensor:
    """Interactions (samples, 2, subsets) divided by the sum of abs(I) of their sample; samples of strength 0 stay 0."""
    size = effects.abs().sum((-1, -2), keepdim=True)
    return effects / torch.where(size == 0, torch.ones_like(size), size)


def sum_of(arrays: Sequence[Array]) -> Array:
    """The sum of arrays of one shape."""
    return np.asarray(np.sum(arrays, axis=0))


def _stacked(seeds: Sequence[Reliabilities]) -> Reliabilities:
    return tuple(
        (np.stack([top for top, _ in pairs]), np.stack([bottom for _, bottom in pairs]))
        for pairs in zip(*seeds, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Crossed:
    """Strength that two models share, by pair of samples and order, with the reliabilities that give the ceiling.

    All arrays are sums over the pairings of the two readings of each model. With several seeds, on the same samples, an
    axis of seeds comes first.

    Attributes
    ----------
    common : ndarray
        (..., samples, samples, orders): strength shared by the first model on sample i and the second on sample j.
    whole : ndarray
        (..., samples, orders): strength of the first model.
    each : ndarray
        As `common`, after the interactions were divided by the sum of abs(I) of their sample. So it does not depend on
        how strong a sample is in the two models.
    reliabilities : tuple of (ndarray, ndarray)
        For each model: the strength that its second reading shares with the first, and its whole strength, each
        (..., samples, orders). They give the ceiling. Empty if nothing was read twice.
    of_three : tuple of (ndarray, ndarray)
        If a third model takes part: the same for the first, second and third model. The ceiling is lower if the third
        model is read less reliably.
    """

    common: Array
    whole: Array
    each: Array
    reliabilities: Reliabilities = ()
    of_three: Reliabilities = ()

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Crossed]) -> Crossed:
        """Join several seeds.

        Raises
        ------
        BequeathError
            If they are not of the same samples and orders.
        """
        shapes = {(seed.common.shape, len(seed.reliabilities), len(seed.of_three)) for seed in seeds}
        if len(shapes) != 1:
            raise BequeathError(
                f"seeds: strengths of shapes {sorted(shapes)}; give the same models, samples and players for all"
            )
        return cls(
            np.stack([seed.common for seed in seeds]),
            np.stack([seed.whole for seed in seeds]),
            np.stack([seed.each for seed in seeds]),
            _stacked([seed.reliabilities for seed in seeds]),
            _stacked([seed.of_three for seed in seeds]),
        )

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return 1 if self.whole.ndim == 2 else len(self.whole)

    @property
    def read(self) -> NDArray[np.bool_]:
        """Which samples have all readings, bool, (samples,)."""
        samples = self.whole.shape[-2]
        parts = [self.whole, *(top for top, _ in (*self.reliabilities, *self.of_three))]
        read = np.ones(samples, bool)
        for part in parts:
            read &= np.isfinite(part).all(-1).reshape(-1, samples).all(0)
        return read

    def of_read(self) -> Crossed:
        """The same for the samples that have all readings."""
        keep = self.read
        if keep.all():
            return self
        return Crossed(
            self.common[..., keep, :, :][..., keep, :],
            self.whole[..., keep, :],
            self.each[..., keep, :, :][..., keep, :],
            *(
                tuple((top[..., keep, :], bottom[..., keep, :]) for top, bottom in pairs)
                for pairs in (self.reliabilities, self.of_three)
            ),
        )

    def over_all(self) -> Crossed:
        """Sums over all orders, as one group."""
        return self.over(np.ones((self.whole.shape[-1], 1)))

    def over(self, groups: Array) -> Crossed:
        """Sums over groups of orders: `groups`, (orders, groups), holds 1 where an order belongs to a group.

        The last axis of all arrays is then the axis of groups.
        """
        return replace(
            self,
            common=self.common @ groups,
            whole=self.whole @ groups,
            each=self.each @ groups,
            reliabilities=tuple((top @ groups, bottom @ groups) for top, bottom in self.reliabilities),
            of_three=tuple((top @ groups, bottom @ groups) for top, bottom in self.of_three),
        )
