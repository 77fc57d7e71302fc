"""Tiny ImageNet (Stanford CS231n): 64 x 64 pixels, 200 classes, as in tiny-imagenet-200.zip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bequeath.data.images import DEFAULT, SUFFIXES, ImageFiles
from bequeath.data.layouts.archive import Archive, check_split, unpacked
from bequeath.models.preprocessing import Preprocessing

_NAME = "Tiny ImageNet"
_HOME = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"


def tiny_imagenet(
    path: str | Path,
    split: Literal["train", "val"],
    preprocessing: Preprocessing = DEFAULT,
    classes: Sequence[str] | None = None,
) -> ImageFiles:
    """Load Tiny ImageNet: 100,000 training and 10,000 validation pictures of 200 of ImageNet's classes.

    Classes are ordered by WordNet number ("n01443537", ...), as when the training folder is read as a folder of
    classes. A class has the first name that words.txt lists for its number.

    Parameters
    ----------
    path : str or Path
        tiny-imagenet-200 (wnids.txt, words.txt, train/<wnid>/images/, val/images/ and val/val_annotations.txt), or the
        folder that holds it.
    split : "train" or "val"
        The published test pictures have no labels.
    preprocessing : Preprocessing
        Turns a picture into the model's input.
    classes : sequence of str, optional
        Classes to use, by name or WordNet number, in the order of the model's outputs.

    Returns
    -------
    ImageFiles

    Raises
    ------
    BequeathError
        If a file is missing or damaged, naming it.

    Examples
    --------
    >>> tiny_imagenet("data/tiny-imagenet-200", "val", Preprocessing(size=64))
    """
    check_split(_NAME, split, ("train", "val"), "; the test pictures are published without labels")
    archive = unpacked(_NAME, _HOME, path, "tiny-imagenet-200")
    numbers = sorted(number for (number,) in archive.fields("wnids.txt", 1))
    known = _class_names(archive, numbers)
    if classes is not None and not isinstance(classes, str):
        by_number = dict(zip(numbers, known, strict=True))
        classes = [by_number.get(name, name) for name in classes]
    listed = (_training if split == "train" else _validation)(archive, numbers)
    files, labels = [file for file, _ in listed], [label for _, label in listed]
    return archive.images(files, labels, known, preprocessing, split=split, classes=classes, folder=split)


def _class_names(archive: Archive, numbers: list[str]) -> list[str]:
    words = dict(archive.fields("words.txt", 2, "\t"))
    absent = [number for number in numbers if number not in words]
    if absent:
        raise archive.damaged(archive.root / "words.txt", f"has no {absent[0]}, unlike wnids.txt")
    names = [words[number].split(",")[0].strip() for number in numbers]
    count = Counter(names)
    return [
        name if count[name] == 1 else f"{name} ({number})"
        for name, number in zip(names, numbers, strict=True)
    ]


def _training(archive: Archive, numbers: list[str]) -> list[tuple[str, int]]:
    return [
        (file.relative_to(archive.root).as_posix(), label)
        for label, number in enumerate(numbers)
        for file in sorted(archive.need(f"train/{number}/images").iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]


def _validation(archive: Archive, numbers: list[str]) -> list[tuple[str, int]]:
    name = "val/val_annotations.txt"
    index = {number: label for label, number in enumerate(numbers)}
    listed = []
    # The remaining fields of a line are a box.
    for file, number, _ in archive.fields(name, 3, "\t"):
        if number not in index:
            raise archive.damaged(
                archive.root / name, f"{file} has the class {number}, which is not in wnids.txt"
            )
        listed.append((f"val/images/{file}", index[number]))
    return listed
