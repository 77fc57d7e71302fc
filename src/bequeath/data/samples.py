"""Samples, the contract of their sources, and how some of them are chosen."""

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


# eq=False: comparing two tensors gives a tensor, so a generated __eq__ would fail.
@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled input.

    Attributes
    ----------
    id : str
        Names the sample in reports and errors; unique within its data set.
    x : Tensor or str
        The model's input: a normalised image, float32 (3, height, width); a row of a table, float32 (features,); or a
        text.
    label : int
        Index into the data set's `classes`.
    picture : ndarray or None
        The image for readers: uint8 (height, width, 3), with the same pixels as `x`. None for texts and tables.
    """

    id: str
    x: Tensor | str
    label: int
    picture: NDArray[np.uint8] | None


class Dataset(Protocol):
    """The contract of all sources of samples.

    Attributes
    ----------
    modality : "image", "text" or "table"
    classes : tuple of str
        Names, in the order of the model's outputs.
    labels : tuple of int
        One index into `classes` per sample.
    ids : sequence of str
        A unique name per sample.
    source : str
        Where the samples come from, in words.
    """

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
        Indices into `dataset`, in the order of the subset.
    source : str
        What this part is, in words.

    Attributes
    ----------
    dataset, indices
        As given.

    Examples
    --------
    >>> train, _ = fashion_mnist(32)
    >>> len(Subset(train, [0, 10, 20], "three images of Fashion-MNIST"))
    3
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
        """Read the files of some samples (by default all), as the data set's own `check` does, if it has one."""
        check = getattr(self.dataset, "check", None)
        if check is not None:
            check(self.indices if indices is None else [self.indices[i] for i in indices])


def balanced(dataset: Dataset, n: int, seed: int) -> list[int]:
    """Choose n samples at random, with numbers per class as equal as the data set allows.

    Parameters
    ----------
    dataset : Dataset
        Only its `labels` are read; no sample is loaded.
    n : int
        How many samples.
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

    Examples
    --------
    >>> train, _ = fashion_mnist(32)
    >>> sorted(train.labels[i] for i in balanced(train, 10, seed=0))
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if not 1 <= n <= len(dataset):
        raise BequeathError(
            f"samples: {n} asked for, but {dataset.source} has {len(dataset)}; give 1 to that many"
        )
    rng, members = _by_class(dataset, seed)
    chosen: list[int] = []
    rounds = 0
    while len(chosen) < n:
        # Each round takes one sample of every class that has any left. The order of the classes is random, so that the
        # last, incomplete round favours none.
        for label in rng.permutation(len(members)):
            if rounds < len(members[label]):
                chosen.append(int(members[label][rounds]))
        rounds += 1
    return sorted(chosen[:n])


def _by_class(dataset: Dataset, seed: int) -> tuple[np.random.Generator, list[NDArray[np.int64]]]:
    """A random generator, and the samples of each class in an order that it drew."""
    rng, labels = np.random.default_rng(seed), np.asarray(dataset.labels)
    return rng, [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


def split(dataset: Dataset, fraction: float, seed: int) -> tuple[Subset, Subset]:
    """Split a data set at random, each class in the same proportion.

    Parameters
    ----------
    dataset : Dataset
        Only its `labels` are read; no sample is loaded.
    fraction : float
        Share of the samples that is held out, between 0 and 1. A class with two or more samples has at least one in
        each part.
    seed : int
        The same seed gives the same parts.

    Returns
    -------
    train, held_out : Subset
        Each sample is in one of them; both are in the data set's order.

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
    sizes = np.array([len(indices) for indices in members], dtype=int)
    exact = fraction * sizes
    counts = np.floor(exact).astype(int)
    # Rounding down leaves some samples over. They go to the classes that lost most by it; in a tie, to the first.
    missing = round(fraction * len(dataset)) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    counts = np.clip(counts, np.minimum(1, sizes - 1), np.maximum(sizes - 1, 0))
    chosen = np.zeros(len(dataset), dtype=bool)
    for indices, count in zip(members, counts, strict=True):
        chosen[indices[:count]] = True
    parts = [np.flatnonzero(part).tolist() for part in (~chosen, chosen)]
    if not all(parts):
        raise BequeathError(
            f"split: {fraction} of {dataset.source} leaves a part without samples; it has {len(dataset)}, give another "
            "fraction"
        )
    names = ("training", "held-out")
    train, held_out = (
        Subset(dataset, part, f"{len(part)} {name} of {dataset.source} (seed {seed})")
        for part, name in zip(parts, names, strict=True)
    )
    return train, held_out


def batch(dataset: Dataset, indices: Sequence[int]) -> Tensor:
    """Stack the images or rows of some samples into one tensor.

    Parameters
    ----------
    dataset : Dataset
        Of images or rows.
    indices : sequence of int
        Which samples.

    Returns
    -------
    Tensor
        float32, shape (samples, 3, height, width) or (samples, features).

    Raises
    ------
    BequeathError
        If the data set holds texts, which need a tokenizer, or no index is given.

    Examples
    --------
    >>> train, _ = fashion_mnist(32)
    >>> batch(train, [0, 1]).shape
    torch.Size([2, 3, 32, 32])
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
