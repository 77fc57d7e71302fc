"""Stanford Cars (Krause et al. 2013): devkit/, cars_train/ and cars_test/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bequeath.data.images import DEFAULT, ImageFiles
from bequeath.data.layouts.archive import Archive, check_split, unpacked
from bequeath.errors import BequeathError, first_line
from bequeath.models.preprocessing import Preprocessing

_NAME = "Stanford Cars"
# The authors' own page is gone; torchvision's documentation links copies.
_HOME = (
    "a copy of https://ai.stanford.edu/~jkrause/cars/car_dataset.html (see torchvision.datasets.StanfordCars)"
)
_BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_LABELLED_TEST = "cars_test_annos_withlabels.mat"


def stanford_cars(
    path: str | Path,
    split: Literal["train", "test"],
    preprocessing: Preprocessing = DEFAULT,
    classes: Sequence[str] | None = None,
    crop: bool = False,
) -> ImageFiles:
    """Load Stanford Cars: 196 car models, 8,144 training and 8,041 test pictures.

    Parameters
    ----------
    path : str or Path
        The folder with devkit/ (cars_meta.mat, cars_train_annos.mat), cars_train/ and cars_test/, or the parent of
        such a folder named stanford_cars. The test labels, cars_test_annos_withlabels.mat, may lie in devkit/ or
        beside it.
    split : "train" or "test"
    preprocessing : Preprocessing
        Turns a picture into the model's input.
    classes : sequence of str, optional
        Classes to use, named as in cars_meta.mat ("Audi S6 Sedan 2011"), in the order of the model's outputs.
    crop : bool
        Whether to crop each picture to its box.

    Returns
    -------
    ImageFiles

    Raises
    ------
    BequeathError
        If a file is missing or damaged, naming it, or the test annotations have no labels.

    Examples
    --------
    >>> stanford_cars("data/stanford_cars", "test", crop=True)
    """
    check_split(_NAME, split, ("train", "test"))
    archive = unpacked(_NAME, _HOME, path, "stanford_cars")
    meta = archive.need("devkit/cars_meta.mat")
    known = [str(name) for name in np.atleast_1d(_read(archive, meta, "class_names"))]
    file = archive.need("devkit/cars_train_annos.mat") if split == "train" else _test_labels(archive)
    rows = np.atleast_1d(_read(archive, file, "annotations"))
    for field in ("fname", "class", *(_BOX if crop else ())):
        if field not in (rows.dtype.names or ()):
            raise archive.damaged(file, f"its annotations have no field {field}")
    try:
        labels = [int(label) - 1 for label in rows["class"]]
        corners = [[int(row[field]) for field in _BOX] for row in rows] if crop else []
    except (TypeError, ValueError) as error:
        raise archive.damaged(file, f"a class or a box is no number ({error})") from error
    if not all(0 <= label < len(known) for label in labels):
        raise archive.damaged(file, f"a class is not in 1..{len(known)}, the classes of {meta.name}")
    # Boxes count pixels from 1, and include the last one.
    boxes = [(left - 1, top - 1, right, bottom) for left, top, right, bottom in corners]
    folder = f"cars_{split}"
    files = [f"{folder}/{name}" for name in rows["fname"]]
    box = boxes.__getitem__ if crop else None
    return archive.images(
        files, labels, known, preprocessing, split=split, classes=classes, folder=folder, box=box
    )


def _test_labels(archive: Archive) -> Path:
    for file in (archive.root / "devkit" / _LABELLED_TEST, archive.root / _LABELLED_TEST):
        if file.is_file():
            return file
    bare = archive.root / "devkit" / "cars_test_annos.mat"
    if bare.is_file():
        raise BequeathError(
            f"{_NAME}: {bare} has no labels; put {_LABELLED_TEST} (published apart from the devkit) beside it"
        )
    raise archive.missing(archive.root / "devkit" / _LABELLED_TEST)


def _read(archive: Archive, file: Path, variable: str) -> NDArray[Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(file, squeeze_me=True, variable_names=[variable])
    # loadmat raises these for files that are damaged or not MATLAB's.
    except (OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, MatReadError) as error:
        raise archive.damaged(file, f"cannot be read ({first_line(error)})") from error
    if variable not in content:
        raise archive.damaged(file, f"has no variable {variable}")
    array: NDArray[Any] = np.asarray(content[variable])
    return array
