"""Labelled samples as inputs of both models; each is read once if all fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bequeath.data.samples import Dataset, Sample, Subset
from bequeath.games.inputs import Inputs
from bequeath.study.loading.digests import samples_digest
from bequeath.study.loading.inputs import StudyInputs

# In bytes: larger data are read again in each pass.
_IN_MEMORY = 2**30


class Samples:
    """Labelled samples.

    Attributes
    ----------
    source : str
        Where they come from, in words.
    labels : ndarray
        int64, (samples,).
    digest : str
        Of their content.
    """

    def __init__(self, inputs: StudyInputs, dataset: Dataset, indices: Sequence[int]) -> None:
        self._inputs, self._data = inputs, Subset(dataset, indices, dataset.source)
        self.source = dataset.source
        self.labels: NDArray[np.int64] = np.array(self._data.labels, dtype=np.int64)
        self.digest = samples_digest(dataset, indices)
        first = self._data[0].x
        each = first.nbytes if isinstance(first, Tensor) else len(first)
        self._cache: dict[int, Sample] | None = {} if each * len(self._data) <= _IN_MEMORY else None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def majority(self) -> float:
        """Share of the largest class: the accuracy of always naming it."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Inputs:
        """Some samples as one batch of model inputs, on the models' device."""
        return self._inputs.batch([self._sample(int(i)) for i in indices])

    def batches(self, size: int, indices: Sequence[int] | None = None) -> Iterator[Inputs]:
        """Some samples (by default all) in batches of `size`."""
        chosen = range(len(self)) if indices is None else indices
        for first in range(0, len(chosen), size):
            yield self.batch(chosen[first : first + size])

    def _sample(self, i: int) -> Sample:
        if self._cache is not None and i in self._cache:
            return self._cache[i]
        sample = self._data[i]
        if self._cache is not None:
            self._cache[i] = Sample(sample.id, sample.x, sample.label, None)
        return sample
