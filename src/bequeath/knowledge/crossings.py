"""What one model's interactions share with another's, on the same samples and on all others (METHOD 5b)."""

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
"""What second readings find again, and the strength it is of, of each model."""


@compiled
def _add_shared(first, second, orders, out):  # type: ignore[no-untyped-def]
    """Add min(|a|, |b|) where signs agree to out (samples, orders, samples).

    first: (samples, columns); second: (columns, samples), so that the inner loop runs along memory.
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
    """What the first model has on one sample, and the second model on another, of every pair of samples.

    Parameters
    ----------
    first, second : Tensor
        Interactions (samples, 2, subsets) on the same subsets; nan in samples that were not read.
    orders : Tensor
        Players of each subset, int64, (subsets,), 1 to `most` (the empty set, of order 0, has no interaction).
    most : int
        The largest order.

    Returns
    -------
    ndarray
        (samples, samples, orders from 1): the sum of min(abs(a), abs(b)) where signs agree, of the first on sample i
        and the second on sample j; in units of the interactions. nan where one of them was not read.
    """
    a = np.ascontiguousarray(first.reshape(len(first), -1).cpu().numpy(), dtype=np.float64)
    b = np.ascontiguousarray(second.reshape(len(second), -1).cpu().numpy().T, dtype=np.float64)
    out = np.zeros((len(a), most + 1, b.shape[1]))
    _add_shared(a, b, np.tile(orders.cpu().numpy(), first.shape[1]), out)
    out[np.isnan(a).any(1)] = np.nan
    out[..., np.isnan(b).any(0)] = np.nan
    return np.ascontiguousarray(np.swapaxes(out, 1, 2)[..., 1:])


def strength(effects: Tensor, orders: Tensor, most: int) -> Array:
    """Sum of abs(I) over types, by order from 1: (samples, most)."""
    size = effects.abs().sum(-2)
    return size.new_zeros(len(size), most + 1).index_add_(-1, orders, size)[:, 1:].cpu().numpy()


def of_strength_one(effects: Tensor) -> Tensor:
    """Interactions (samples, 2, subsets) divided by their sample's sum of abs(I); those of no strength stay 0."""
    size = effects.abs().sum((-1, -2), keepdim=True)
    return effects / torch.where(size == 0, torch.ones_like(size), size)


def sum_of(arrays: Sequence[Array]) -> Array:
    """Arrays of one shape, added up."""
    return np.asarray(np.sum(arrays, axis=0))


def _stacked(seeds: Sequence[Reliabilities]) -> Reliabilities:
    return tuple(
        (np.stack([top for top, _ in pairs]), np.stack([bottom for _, bottom in pairs]))
        for pairs in zip(*seeds, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Crossed:
    """How much of one model's strength another one has, by sample and order, and how much its own second reading has.

    Sums over the ways in which two readings of each model can be put together. Of one comparison, or with an axis of
    seeds in front of several on the same samples.

    Attributes
    ----------
    common : ndarray
        (..., samples, samples, orders): of the first model on sample i, what the second model has on sample j.
    whole : ndarray
        (..., samples, orders): strength of the first model.
    each : ndarray
        As `common`, but of interactions that are divided by their sample's sum of abs(I): who shares with whom, however
        strong a sample is in the two models.
    again : tuple of (ndarray, ndarray)
        Reliabilities, which make the ceiling: what a second reading of a model finds again, and its strength, each
        (..., samples, orders). Empty where nothing was read twice.
    third : tuple of (ndarray, ndarray)
        Where a third model takes part, the reliabilities of the first two and of the third: the ceiling is lower where
        the third one's readings are less reliable.
    """

    common: Array
    whole: Array
    each: Array
    again: Reliabilities = ()
    third: Reliabilities = ()

    __repr__ = one_line

    @classmethod
    def stacked(cls, seeds: Sequence[Crossed]) -> Crossed:
        """Those of several seeds as one.

        Raises
        ------
        BequeathError
            If they are not of the same samples and orders.
        """
        shapes = {(one.common.shape, len(one.again), len(one.third)) for one in seeds}
        if len(shapes) != 1:
            raise BequeathError(
                f"seeds: strengths of shapes {sorted(shapes)}; all need the same models, samples and players"
            )
        return cls(
            np.stack([one.common for one in seeds]),
            np.stack([one.whole for one in seeds]),
            np.stack([one.each for one in seeds]),
            _stacked([one.again for one in seeds]),
            _stacked([one.third for one in seeds]),
        )

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return 1 if self.whole.ndim == 2 else len(self.whole)

    @property
    def read(self) -> NDArray[np.bool_]:
        """Which samples were read in every way, bool, (samples,)."""
        samples = self.whole.shape[-2]
        parts = [self.whole, *(top for top, _ in (*self.again, *self.third))]
        found = np.ones(samples, bool)
        for part in parts:
            found &= np.isfinite(part).all(-1).reshape(-1, samples).all(0)
        return found

    def of_read(self) -> Crossed:
        """Those of the samples that were read in every way."""
        keep = self.read
        if keep.all():
            return self
        return Crossed(
            self.common[..., keep, :, :][..., keep, :],
            self.whole[..., keep, :],
            self.each[..., keep, :, :][..., keep, :],
            *(
                tuple((top[..., keep, :], bottom[..., keep, :]) for top, bottom in pairs)
                for pairs in (self.again, self.third)
            ),
        )

    def over_all(self) -> Crossed:
        """Sums over all orders: one group."""
        return self.over(np.ones((self.whole.shape[-1], 1)))

    def over(self, groups: Array) -> Crossed:
        """Sums over groups of orders, (orders, groups): the last axis is then one of groups."""
        return replace(
            self,
            common=self.common @ groups,
            whole=self.whole @ groups,
            each=self.each @ groups,
            again=tuple((top @ groups, bottom @ groups) for top, bottom in self.again),
            third=tuple((top @ groups, bottom @ groups) for top, bottom in self.third),
        )
