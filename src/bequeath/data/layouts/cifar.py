"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), in the binary and in the Python version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bequeath.data.images import DEFAULT, ImageArray
from bequeath.data.labels import check_labels, choose_classes
from bequeath.data.layouts.archive import Archive, check_split, unpacked
from bequeath.data.layouts.unpickle import read_pickle
from bequeath.errors import BequeathError
from bequeath.models.preprocessing import Preprocessing

_HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
_PIXELS = 3 * 32 * 32

_Part = tuple[NDArray[np.uint8], Sequence[int]]
"""Pixels (n, 3072), channel by channel, and labels."""


def cifar10(
    path: str | Path,
    split: Literal["train", "test"],
    preprocessing: Preprocessing = DEFAULT,
    classes: Sequence[str] | None = None,
) -> ImageArray:
    """Load CIFAR-10: 50,000 training and 10,000 test pictures of 32 x 32 pixels, in 10 classes.

    Parameters
    ----------
    path : str or Path
        cifar-10-batches-bin or cifar-10-batches-py, or the folder that holds one of them. The Python version consists
        of pickles; no code in them is run, and only pixels and plain values are read.
    split : "train" or "test"
    preprocessing : Preprocessing
        Turns a picture into the model's input.
    classes : sequence of str, optional
        Classes to use, in the order of the model's outputs.

    Returns
    -------
    ImageArray
        Its ids are file and position, such as "data_batch_1/17", the same for both versions.

    Raises
    ------
    BequeathError
        If a file is missing or damaged, naming it.

    Examples
    --------
    >>> cifar10("data/cifar-10-batches-bin", "test", Preprocessing(size=32), classes=["cat", "dog"])
    """
    place = "CIFAR-10"
    check_split(place, split, ("train", "test"))
    archive, binary = _version(place, path, "cifar-10-batches-bin", "cifar-10-batches-py", "batches.meta")
    files = [f"data_batch_{k}" for k in range(1, 6)] if split == "train" else ["test_batch"]
    if binary:
        known = [name for (name,) in archive.fields("batches.meta.txt", 1)]
        parts = [_records(archive, f"{file}.bin", 1, 0) for file in files]
    else:
        known = _names(archive, "batches.meta", "label_names")
        parts = [_batch(archive, file, "labels") for file in files]
    return _array(place, archive, split, files, parts, known, preprocessing, classes)


def cifar100(
    path: str | Path,
    split: Literal["train", "test"],
    preprocessing: Preprocessing = DEFAULT,
    classes: Sequence[str] | None = None,
    labels: Literal["fine", "coarse"] = "fine",
) -> ImageArray:
    """Load CIFAR-100: 50,000 training and 10,000 test pictures of 32 x 32 pixels, in 100 classes and 20 groups.

    Parameters
    ----------
    path : str or Path
        cifar-100-binary or cifar-100-python, or the folder that holds one of them.
    split, preprocessing, classes
        As for `cifar10`.
    labels : "fine" or "coarse"
        The 100 classes or the 20 groups.

    Returns
    -------
    ImageArray
        Its ids are file and position, such as "train/17".

    Raises
    ------
    BequeathError
        If a file is missing or damaged, naming it.

    Examples
    --------
    >>> cifar100("data/cifar-100-binary", "train", labels="coarse")
    """
    place = "CIFAR-100"
    check_split(place, split, ("train", "test"))
    if labels not in ("fine", "coarse"):
        raise BequeathError(f'{place}: labels is "fine" or "coarse", not {labels!r}')
    archive, binary = _version(place, path, "cifar-100-binary", "cifar-100-python", "meta")
    if binary:
        known = [name for (name,) in archive.fields(f"{labels}_label_names.txt", 1)]
        parts = [_records(archive, f"{split}.bin", 2, 1 if labels == "fine" else 0)]
    else:
        known = _names(archive, "meta", f"{labels}_label_names")
        parts = [_batch(archive, split, f"{labels}_labels")]
    return _array(place, archive, split, [split], parts, known, preprocessing, classes)


def _version(place: str, path: str | Path, binary: str, python: str, meta: str) -> tuple[Archive, bool]:
    """The archive, and whether it is the binary version; if both versions are there, the binary one is used."""
    archive = unpacked(place, _HOME, path, binary)
    if archive.root == Path(path) and (Path(path) / python).is_dir():
        archive = unpacked(place, _HOME, path, python)
    return archive, not (archive.root / meta).is_file()


def _records(archive: Archive, name: str, labels: int, which: int) -> _Part:
    """Read a binary file: records of one or two label bytes and the pixels."""
    file = archive.need(name)
    content = np.fromfile(file, dtype=np.uint8)
    if not len(content) or len(content) % (labels + _PIXELS):
        raise archive.damaged(
            file, f"{len(content)} bytes are no whole number of records of {labels + _PIXELS}"
        )
    records = content.reshape(-1, labels + _PIXELS)
    return records[:, labels:], records[:, which].tolist()


def _batch(archive: Archive, name: str, key: str) -> _Part:
    """Read a file of the Python version."""
    file = archive.need(name)
    content = read_pickle(archive, file)
    data, labels = content.get("data"), content.get(key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != _PIXELS:
        raise archive.damaged(file, f"its data is not an array (n, {_PIXELS}) of bytes")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise archive.damaged(file, f"{key} is not a list of integers")
    if len(labels) != len(data):
        raise archive.damaged(file, f"{len(labels)} {key} for {len(data)} images")
    return data, labels


def _names(archive: Archive, name: str, key: str) -> list[str]:
    file = archive.need(name)
    names: Any = read_pickle(archive, file).get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise archive.damaged(file, f"{key} is not a list of names")
    return names


def _array(
    place: str,
    archive: Archive,
    split: str,
    files: list[str],
    parts: list[_Part],
    known: list[str],
    preprocessing: Preprocessing,
    wanted: Sequence[str] | None,
) -> ImageArray:
    pixels = np.concatenate([data for data, _ in parts])
    labels = [label for _, part_labels in parts for label in part_labels]
    ids = [f"{file}/{i}" for file, (data, _) in zip(files, parts, strict=True) for i in range(len(data))]
    check_labels(place, "image", len(pixels), labels, known)
    classes, kept, labels = choose_classes(place, known, labels, wanted)
    images = pixels[kept].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return ImageArray(
        np.ascontiguousarray(images),
        labels,
        classes,
        preprocessing,
        f"{place}, {len(kept)} {split} images of {len(classes)} classes in {archive.root}",
        [ids[i] for i in kept],
    )
