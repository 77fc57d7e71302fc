"""Held-out samples that are training data too."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from bequeath.data.images import ImageArray, ImageFiles
from bequeath.data.samples import Dataset, Subset
from bequeath.data.tables import Table

# Larger sets are not looked through: reading them would take longer than what they are read for.
_MOST_FILES, _MOST_OTHERS = 200_000, 20_000


def also_in(held_out: Dataset, indices: Sequence[int], train: Dataset) -> list[int]:
    """Which of some held-out samples have the very content of a training sample.

    Parameters
    ----------
    held_out, train : Dataset
        Two sets, or two parts of one.
    indices : sequence of int
        Samples of `held_out`.

    Returns
    -------
    list of int
        Some of `indices`; none where the training data are too many to be looked through (200,000 files, 20,000
        others). Pictures are compared as files or arrays, so the same picture saved anew is another one.
    """
    files = _file_sizes(train)
    if files is not None:
        return _files_in(held_out, indices, files)
    if len(train) > _MOST_OTHERS:
        return []
    known = {_content(train, i) for i in range(len(train))} - {None}
    return [i for i in indices if _content(held_out, i) in known]


def _whole(dataset: Any, i: int) -> tuple[Any, int]:
    """The set that a sample comes from, and its place there."""
    while isinstance(dataset, Subset):
        dataset, i = dataset.dataset, dataset.indices[i]
    return dataset, i


def _file_sizes(train: Dataset) -> dict[int, list[Path]] | None:
    """By size in bytes, the training files; None where the data are no files, or too many."""
    if len(train) > _MOST_FILES:
        return None
    found: dict[int, list[Path]] = {}
    for i in range(len(train)):
        dataset, k = _whole(train, i)
        if not isinstance(dataset, ImageFiles):
            return None
        found.setdefault(dataset.files[k].stat().st_size, []).append(dataset.files[k])
    return found


def _files_in(held_out: Dataset, indices: Sequence[int], files: dict[int, list[Path]]) -> list[int]:
    found = []
    for i in indices:
        dataset, k = _whole(held_out, i)
        if not isinstance(dataset, ImageFiles):
            return []
        content = dataset.files[k].read_bytes()
        if any(content == other.read_bytes() for other in files.get(len(content), ())):
            found.append(i)
    return found


def _content(dataset: Dataset, i: int) -> Hashable:
    """What a sample is, short; None where that would cost too much to find out."""
    dataset, i = _whole(dataset, i)
    if isinstance(dataset, ImageArray):
        return hashlib.sha256(dataset.images[i].tobytes()).digest()
    if isinstance(dataset, Table):
        return bytes(dataset.values[i].tobytes())
    if dataset.modality == "text":
        return str(dataset[i].x)
    return None
