"""Finds held-out samples that are also training data."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from bequeath.data.images import ImageArray, ImageFiles
from bequeath.data.samples import Dataset, Subset
from bequeath.data.tables import Table

# Larger sets are not searched, because reading them would take longer than the run itself.
_MOST_FILES, _MOST_OTHERS = 200_000, 20_000


def also_in(held_out: Dataset, indices: Sequence[int], train: Dataset) -> list[int]:
    """Find held-out samples whose content is identical to a training sample's.

    Pictures are compared as files or arrays, so a picture that was saved again counts as another one. Training data
    of more than 200,000 files, or 20,000 samples of other kinds, are not searched.

    Parameters
    ----------
    held_out, train : Dataset
        Two sets, or two parts of one.
    indices : sequence of int
        Samples of `held_out`.

    Returns
    -------
    list of int
        Those of `indices` that are also in `train`.
    """
    files = _files_by_size(train)
    if files is not None:
        return _identical_files(held_out, indices, files)
    if len(train) > _MOST_OTHERS:
        return []
    known = {_content(train, i) for i in range(len(train))} - {None}
    return [i for i in indices if _content(held_out, i) in known]


def _origin(dataset: Any, i: int) -> tuple[Any, int]:
    """The original data set of a sample in a `Subset`, and its index there."""
    while isinstance(dataset, Subset):
        dataset, i = dataset.dataset, dataset.indices[i]
    return dataset, i


def _files_by_size(train: Dataset) -> dict[int, list[Path]] | None:
    """The training files by size in bytes; None if the data are no files, or too many."""
    if len(train) > _MOST_FILES:
        return None
    by_size: dict[int, list[Path]] = {}
    for i in range(len(train)):
        dataset, k = _origin(train, i)
        if not isinstance(dataset, ImageFiles):
            return None
        by_size.setdefault(dataset.files[k].stat().st_size, []).append(dataset.files[k])
    return by_size


def _identical_files(held_out: Dataset, indices: Sequence[int], files: dict[int, list[Path]]) -> list[int]:
    """Those of some held-out samples whose files have the content of one of `files`, given by size in bytes."""
    identical = []
    for i in indices:
        dataset, k = _origin(held_out, i)
        if not isinstance(dataset, ImageFiles):
            return []
        content = dataset.files[k].read_bytes()
        if any(content == other.read_bytes() for other in files.get(len(content), ())):
            identical.append(i)
    return identical


def _content(dataset: Dataset, i: int) -> Hashable:
    """A short value that identifies a sample's content; None if computing it would take too long."""
    dataset, i = _origin(dataset, i)
    if isinstance(dataset, ImageArray):
        return hashlib.sha256(dataset.images[i].tobytes()).digest()
    if isinstance(dataset, Table):
        return bytes(dataset.values[i].tobytes())
    if dataset.modality == "text":
        return str(dataset[i].x)
    return None
