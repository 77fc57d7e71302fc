"""Caltech-UCSD Birds 200 (Wah et al. 2011), as in CUB_200_2011.tgz."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bequeath.data.images import DEFAULT, Box, ImageFiles
from bequeath.data.layouts.archive import Archive, check_split, unpacked
from bequeath.models.preprocessing import Preprocessing

_NAME = "CUB-200-2011"
_HOME = "https://www.vision.caltech.edu/datasets/cub_200_2011 (CUB_200_2011.tgz)"


def cub200(
    path: str | Path,
    split: Literal["train", "test"],
    preprocessing: Preprocessing = DEFAULT,
    classes: Sequence[str] | None = None,
    crop: bool = False,
) -> ImageFiles:
    """Load CUB-200-2011: birds of 200 species, 5,994 training and 5,794 test pictures.

    Parameters
    ----------
    path : str or Path
        CUB_200_2011 (images.txt, image_class_labels.txt, classes.txt, train_test_split.txt, images/), or the folder
        that holds it.
    split : "train" or "test"
    preprocessing : Preprocessing
        Turns a picture into the model's input.
    classes : sequence of str, optional
        Classes to use, named as in classes.txt ("001.Black_footed_Albatross"), in the order of the model's outputs.
    crop : bool
        Whether to crop each picture to its box in bounding_boxes.txt.

    Returns
    -------
    ImageFiles

    Raises
    ------
    BequeathError
        If a file is missing or damaged, naming it.

    Examples
    --------
    >>> cub200("data/CUB_200_2011", "train", crop=True)
    """
    check_split(_NAME, split, ("train", "test"))
    archive = unpacked(_NAME, _HOME, path, "CUB_200_2011")
    species = archive.fields("classes.txt", 2)
    index = {number: k for k, (number, _) in enumerate(species)}
    label_of, is_training = (
        _by_image(archive, name) for name in ("image_class_labels.txt", "train_test_split.txt")
    )
    box_of = _by_image(archive, "bounding_boxes.txt", 5) if crop else {}
    images = [
        (number, file)
        for number, file in archive.fields("images.txt", 2)
        if (_entry(archive, "train_test_split.txt", is_training, number) == ["1"]) == (split == "train")
    ]
    labels = []
    for number, _ in images:
        (label,) = _entry(archive, "image_class_labels.txt", label_of, number)
        if label not in index:
            raise archive.damaged(
                archive.root / "image_class_labels.txt", f"image {number} has the class {label}"
            )
        labels.append(index[label])
    return archive.images(
        [f"images/{file}" for _, file in images],
        labels,
        [name for _, name in species],
        preprocessing,
        split=split,
        classes=classes,
        folder="images",
        box=(lambda i: _box(archive, images[i][0], box_of)) if crop else None,
    )


def _by_image(archive: Archive, name: str, count: int = 2) -> dict[str, list[str]]:
    """A file's fields by image number."""
    return {number: values for number, *values in archive.fields(name, count)}


def _entry(archive: Archive, name: str, entries: dict[str, list[str]], number: str) -> list[str]:
    if number not in entries:
        raise archive.damaged(archive.root / name, f"has no image {number}, unlike images.txt")
    return entries[number]


def _box(archive: Archive, number: str, boxes: dict[str, list[str]]) -> Box:
    values = _entry(archive, "bounding_boxes.txt", boxes, number)
    try:
        left, top, width, height = (int(float(value)) for value in values)
    except (ValueError, OverflowError):
        raise archive.damaged(
            archive.root / "bounding_boxes.txt", f"image {number} has the box {' '.join(values)}"
        ) from None
    return left, top, left + width, top + height
