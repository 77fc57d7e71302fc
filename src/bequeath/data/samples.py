"""What every source of samples offers, and the choice of some of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality


# eq=False: comparing two tensors gives a tensor, so a generated __eq__ could only fail.
@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled input.

    Attributes
    ----------
    id : str
        Names the sample in reports and errors; unique within its data set.
    x : Tensor or str
        What the model is given: float32 image (3, height, width), normalised; float32 row (features,) of a table; or
        the text.
    label : int
        Index into the data set's `classes`.
    picture : ndarray or None
        What people are shown: uint8 (height, width, 3), pixel for pixel what `x` holds. None for texts and
        tables.
    """

    id: str
    x: Tensor | str
    label: int
    picture: NDArray[np.uint8] | None


class Dataset(Protocol):
    """The contract of every source of samples; `source` says in words where they come from, `ids` names them."""

    @property
    def modality(self) -> Modality: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> tuple[int, ...]: ...
    @property
    def ids(self) -> Sequence[str]: ...
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

    Attributes
    ----------
    dataset, indices
        As given.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int], source: str) -> None:
        self.dataset = dataset
        self.indices = list(indices)
        self.modality: Modality = dataset.modality
        self.classes = dataset.classes
        self.labels = tuple(dataset.labels[i] for i in self.indices)
        self.ids = [dataset.ids[i] for i in self.indices]
        self.source = source

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> Sample:
        return self.dataset[self.indices[i]]

    def check(self, indices: Iterable[int] | None = None) -> None:
        """Read these samples' files (default: all), where the data set is one of files; errors are the data set's."""
        check = getattr(self.dataset, "check", None)
        if check is not None:
            check(self.indices if indices is None else [self.indices[i] for i in indices])


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
            f"samples: {n} asked for, of {dataset.source} there are {len(dataset)}; give 1 to that many"
        )
    rng, columns = _by_class(dataset, seed)
    chosen: list[int] = []
    row = 0
    while len(chosen) < n:
        # Each round takes one of every class that has any left, in random order, so a cut is fair to all.
        for column in rng.permutation(len(columns)):
            if row < len(columns[column]):
                chosen.append(int(columns[column][row]))
        row += 1
    return sorted(chosen[:n])


def _by_class(dataset: Dataset, seed: int) -> tuple[np.random.Generator, list[NDArray[np.int64]]]:
    """The samples of each class in random order, and the generator that put them so."""
    rng, labels = np.random.default_rng(seed), np.asarray(dataset.labels)
    return rng, [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


def split(dataset: Dataset, fraction: float, seed: int) -> tuple[Subset, Subset]:
    """Part a data set at random, every class in the same proportion.

    Parameters
    ----------
    dataset : Dataset
        Only its `labels` are read; no sample is loaded.
    fraction : float
        Share of the samples that is held out, between 0 and 1. A class of two or more has at least one in each part.
    seed : int
        The same seed gives the same parts.

    Returns
    -------
    train, held_out : Subset
        Together every sample once, each in the data set's order.

    Raises
    ------
    BequeathError
        If fraction is not between 0 and 1 or would leave a part without samples.

    Examples
    --------
    >>> train, held_out = split(ag_news("ag_news", "test"), 0.25, seed=0)
    """
    if not 0 < fraction < 1:
        raise BequeathError(f"split: fraction {fraction}; give the share held out, between 0 and 1")
    _, members = _by_class(dataset, seed)
    sizes = np.array([len(some) for some in members], dtype=int)
    exact = fraction * sizes
    held = np.floor(exact).astype(int)
    # What rounding down leaves goes to the classes that lost most by it; in a tie, to the first.
    short = round(fraction * len(dataset)) - int(held.sum())
    held[np.argsort(held - exact, kind="stable")[:short]] += 1
    held = np.clip(held, np.minimum(1, sizes - 1), np.maximum(sizes - 1, 0))
    chosen = np.zeros(len(dataset), dtype=bool)
    for some, count in zip(members, held, strict=True):
        chosen[some[:count]] = True
    parts = [np.flatnonzero(part).tolist() for part in (~chosen, chosen)]
    if not all(parts):
        raise BequeathError(
            f"split: {fraction} of {dataset.source} leaves a part without samples; it has {len(dataset)}"
        )
    names = ("training", "held-out")
    train, held_out = (
        Subset(dataset, part, f"{len(part)} {name} of {dataset.source} (seed {seed})")
        for part, name in zip(parts, names, strict=True)
    )
    return train, held_out


def batch(dataset: Dataset, indices: Sequence[int]) -> Tensor:
    """Images or rows of the given samples as one tensor: float32, (samples, 3, height, width) or (samples, features).

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
