"""What every source of samples offers, and the choice of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.games.inputs import Kind


# eq=False: comparing two tensors gives a tensor, so a generated __eq__ could only fail.
@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled input.

    Attributes
    ----------
    id : str
        Names the sample in reports and errors; unique within its data set.
    x : Tensor or str
        What the model is given: float32 image (3, height, width), normalised; or the text.
    label : int
        Index into the data set's `classes`.
    picture : ndarray or None
        What people are shown: uint8 (height, width, 3), pixel for pixel what `x` holds. None for text.
    """

    id: str
    x: Tensor | str
    label: int
    picture: NDArray[np.uint8] | None


class Dataset(Protocol):
    """The contract of every source of samples; `source` says in words where they come from."""

    @property
    def kind(self) -> Kind: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> tuple[int, ...]: ...
    @property
    def source(self) -> str: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> Sample: ...


class Subset:
    """Some samples of a data set, as a data set.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int
        Positions in `dataset`, in the order wanted.
    source : str
        What this part is, in words.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int], source: str) -> None:
        self._dataset = dataset
        self._indices = list(indices)
        self.kind: Kind = dataset.kind
        self.classes = dataset.classes
        self.labels = tuple(dataset.labels[i] for i in self._indices)
        self.source = source

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: int) -> Sample:
        return self._dataset[self._indices[i]]


def balanced(dataset: Dataset, n: int, seed: int) -> list[int]:
    """Choose n samples at random, as equally over the classes as the data set allows.

    Parameters
    ----------
    dataset : Dataset
        Only its `labels` are read; no sample is loaded.
    n : int
        How many.
    seed : int
        The same seed gives the same samples, and a larger n only adds to them.

    Returns
    -------
    list of int
        Indices in increasing order.

    Raises
    ------
    BequeathError
        If n is below 1 or the data set has fewer samples.
    """
    if not 1 <= n <= len(dataset):
        raise BequeathError(
            f"samples: {n} asked of {dataset.source}, which has {len(dataset)}; give 1 to that many"
        )
    rng = np.random.default_rng(seed)
    labels = np.asarray(dataset.labels)
    columns = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    chosen: list[int] = []
    row = 0
    while len(chosen) < n:
        # Each round takes one of every class that has any left, in random order, so a cut is fair to all.
        for column in rng.permutation(len(columns)):
            if row < len(columns[column]):
                chosen.append(int(columns[column][row]))
        row += 1
    return sorted(chosen[:n])


def batch(dataset: Dataset, indices: Sequence[int]) -> Tensor:
    """Images of the given samples as one tensor: float32, shape (samples, 3, height, width).

    Raises
    ------
    BequeathError
        If the data set holds texts, which only a tokenizer makes into tensors, or no index is given.
    """
    images: list[Tensor] = []
    for i in indices:
        x = dataset[i].x
        if isinstance(x, str):
            raise BequeathError(f"batch: {dataset.source} holds texts; tokenize them instead")
        images.append(x)
    if not images:
        raise BequeathError(f"batch: no samples of {dataset.source} asked for; give at least one index")
    return torch.stack(images)
