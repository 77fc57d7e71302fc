"""Images: listed files, a folder with one sub-folder a class, or arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bequeath.data.labels import check_classes, check_labels
from bequeath.data.samples import Sample
from bequeath.errors import BequeathError, few, first_line
from bequeath.games.inputs import Modality
from bequeath.models.preprocessing import Preprocessing
from bequeath.printable import is_text, printable

DEFAULT = Preprocessing()

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

# Parts that data come in: nobody's classes.
_PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "holdout"})

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom lie outside."""


class Images:
    """Labelled pictures, opened when asked for. Every source of images says only how it opens one.

    Parameters
    ----------
    ids : sequence of str
        Unique names of the pictures.
    labels : sequence of int
        One index into `classes` per picture.
    classes : sequence of str
        Names, in the order of the model's outputs.
    preprocessing : Preprocessing
        From a picture to the model's input.
    source : str
        Where the pictures come from, for reports and errors.

    Raises
    ------
    BequeathError
        If these do not fit together.
    """

    modality: Modality = "image"

    def __init__(
        self,
        ids: Sequence[str],
        labels: Sequence[int] | NDArray[Any],
        classes: Sequence[str],
        preprocessing: Preprocessing,
        source: str,
    ) -> None:
        if not isinstance(preprocessing, Preprocessing):
            raise BequeathError(
                f"{source}: preprocessing is {preprocessing!r}; give a Preprocessing, such as Preprocessing(size=224)"
            )
        if len(set(ids)) != len(ids):
            twice = next(name for i, name in enumerate(ids) if name in ids[:i])
            raise BequeathError(f"{source}: {twice} occurs twice; give each image once")
        self._ids = ids
        self.labels = check_labels(source, "image", len(ids), labels, classes)
        self.classes = tuple(classes)
        self.preprocessing = preprocessing
        self.source = source

    def open(self, i: int) -> Image.Image:
        """The whole picture i, upright, RGB."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Sample:
        """Sample i.

        Raises
        ------
        BequeathError
            If its picture cannot be read, naming it.
        """
        picture = self.preprocessing.view(self.open(i))
        return Sample(self._ids[i], self.preprocessing.normalise(picture), self.labels[i], picture)

    def check(self, indices: Iterable[int] | None = None) -> None:
        """Read the pictures of these samples (default: all), so that a bad one shows before hours are spent.

        Raises
        ------
        BequeathError
            Naming the first picture that cannot be read and the number of them.
        """
        chosen = range(len(self)) if indices is None else list(indices)
        problems = []
        for i in chosen:
            try:
                self.open(i)
            except BequeathError as error:
                problems.append(str(error))
        if problems:
            more = f" ({len(problems)} of {len(chosen)} files are bad)" if len(problems) > 1 else ""
            raise BequeathError(problems[0] + more)


class ImageFiles(Images):
    """Listed image files, read when asked for.

    Parameters
    ----------
    files : sequence of Path
    labels, classes, preprocessing, source
        As for `Images`.
    root : Path, optional
        Folder that holds the files: a sample's id is its file's path from there. By default, the path as given.
    boxes : sequence of four ints, optional
        The part of each picture that is used: left, top, right, bottom in pixels, right and bottom outside.

    Raises
    ------
    BequeathError
        If these do not fit together.
    """

    def __init__(
        self,
        files: Sequence[str | Path],
        labels: Sequence[int] | NDArray[Any],
        classes: Sequence[str],
        preprocessing: Preprocessing = DEFAULT,
        source: str = "image files",
        root: str | Path | None = None,
        boxes: Sequence[Box] | None = None,
    ) -> None:
        self.files = tuple(Path(file) for file in files)
        # Names need not be UTF-8, and all that tells of a sample must be.
        ids = [
            printable((file if root is None else file.relative_to(root)).as_posix()) for file in self.files
        ]
        super().__init__(ids, labels, classes, preprocessing, source)
        if boxes is not None and len(boxes) != len(self.files):
            raise BequeathError(
                f"{source}: {len(boxes)} boxes for {len(self.files)} files; give one for each"
            )
        self.boxes = None if boxes is None else tuple(boxes)

    def open(self, i: int) -> Image.Image:
        """The picture of file i, upright, RGB, cut to its box."""
        place = f"image {self.files[i]}"
        image = read_image(place, self.files[i])
        if self.boxes is None:
            return image
        left, top, right, bottom = self.boxes[i]
        # Annotators drew a few boxes over the edge.
        box = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
        if box[0] >= box[2] or box[1] >= box[3]:
            raise BequeathError(
                f"{place}: the box {self.boxes[i]} holds none of its {image.width} x {image.height} pixels; "
                "correct the box or remove the image"
            )
        return image.crop(box)


class ImageFolder(ImageFiles):
    """Image files in one sub-folder per class, read when asked for.

    Parameters
    ----------
    path : str or Path
        Folder that holds a folder for each class, with image files in it and in folders below, as torchvision's
        ImageFolder has them.
    preprocessing : Preprocessing
        From a picture to the model's input; by default to 224 pixels, as is customary with ImageNet.
    classes : sequence of str, optional
        Sub-folders to use, in the order of the model's outputs; by default all, sorted by name (10 before 2, as in
        torchvision). One that is listed may be empty or absent.

    Raises
    ------
    BequeathError
        If the folder, its class folders or their images are missing.
    """

    def __init__(
        self, path: str | Path, preprocessing: Preprocessing = DEFAULT, classes: Sequence[str] | None = None
    ) -> None:
        self.path = Path(path)
        place = f"image folder {self.path}"
        if not self.path.is_dir():
            what = "is a file, not a folder" if self.path.exists() else "does not exist"
            raise BequeathError(f"{place}: {what}; give a folder with one sub-folder per class")
        found = _subfolders(self.path)
        if not found:
            raise BequeathError(f"{place}: no class folders; put the images of each class in a sub-folder")
        names = tuple(found) if classes is None else _check_listed(place, found, classes)
        for name in names:
            if not is_text(name):
                raise BequeathError(f"{place}: class {name!r}: the name is not UTF-8; rename the folder")
        _check_level(self.path, names)
        members = [_image_files(self.path / name) if name in found else [] for name in names]
        empty = [name for name, some in zip(names, members, strict=True) if not some]
        if empty and (classes is None or len(empty) == len(names)):
            raise BequeathError(
                f"image folder {self.path / empty[0]}: class {empty[0]!r} has no images; add some "
                f"({', '.join(sorted(SUFFIXES))}), remove the folder, or list all classes under classes"
            )
        files = [file for some in members for file in some]
        labels = [label for label, some in enumerate(members) for _ in some]
        source = f"{len(files)} images of {len(names)} classes in {self.path}"
        super().__init__(files, labels, names, preprocessing, source, root=self.path)


class ImageArray(Images):
    """Images held in an array.

    Parameters
    ----------
    images : ndarray
        uint8, shape (samples, height, width) for grey, repeated to three channels, or (..., 3) for RGB.
    labels, classes, preprocessing, source
        As for `Images`.
    ids : sequence of str, optional
        Unique names of the images; by default their numbers.

    Raises
    ------
    BequeathError
        If shapes, dtypes or labels do not fit together.
    """

    def __init__(
        self,
        images: NDArray[Any],
        labels: Sequence[int] | NDArray[Any],
        classes: Sequence[str],
        preprocessing: Preprocessing = DEFAULT,
        source: str = "image array",
        ids: Sequence[str] | None = None,
    ) -> None:
        rgb = images.ndim == 4 and images.shape[3] == 3
        if images.dtype != np.uint8 or not (images.ndim == 3 or rgb):
            raise BequeathError(
                f"{source}: images must be uint8 of shape (n, height, width) or (n, height, width, 3), not "
                f"{images.dtype} {images.shape}"
            )
        if ids is None:
            ids = [str(i) for i in range(len(images))]
        elif len(ids) != len(images):
            raise BequeathError(f"{source}: {len(ids)} ids for {len(images)} images; give one for each")
        super().__init__(ids, labels, classes, preprocessing, source)
        self.images = images

    def open(self, i: int) -> Image.Image:
        """Image i, RGB."""
        return Image.fromarray(self.images[i]).convert("RGB")


def read_image(place: str, file: Path | BinaryIO) -> Image.Image:
    """The whole image, upright, RGB; `place` begins the errors.

    Raises
    ------
    BequeathError
        If it is missing or damaged, or its pixels have more than 8 bits.
    """
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                # Pillow would clip deeper pixels to 255 without a word: an all-white picture.
                raise BequeathError(f"{place}: its pixels have more than 8 bits; convert it to 8-bit RGB")
            return ImageOps.exif_transpose(image).convert("RGB")
    except BequeathError:
        raise
    # Pillow's decoders raise all of these on damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise BequeathError(f"{place}: cannot be read ({first_line(error)}); replace or remove it") from error


def _image_files(folder: Path) -> list[Path]:
    """Pictures in a folder and all below it, as torchvision's ImageFolder finds them; hidden ones are passed over, and
    what is no file."""
    found: list[Path] = []
    seen: set[str] = set()
    for place, inner, names in os.walk(folder, followlinks=True):
        here = os.path.realpath(place)
        inner[:] = [] if here in seen else sorted(name for name in inner if not name.startswith("."))
        if here in seen:  # a link that leads back
            continue
        seen.add(here)
        files = (Path(place, name) for name in names if not name.startswith("."))
        found += (file for file in files if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(found)


def _check_listed(place: str, found: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Class names that a user lists; one without a folder is a class without
    pictures, unless it may be meant for a folder that is not listed."""
    absent = [name for name in wanted if name not in found]
    if set(found) <= set(wanted):
        return check_classes(place, wanted, wanted)
    if absent and not isinstance(wanted, str):
        raise BequeathError(
            f"{place}: no class {absent[0]!r}; there are {few(found)}; make an empty folder if it has no pictures here"
        )
    return check_classes(place, found, wanted)


def _check_level(path: Path, names: Sequence[str]) -> None:
    """Refuse a folder above the one that is meant: its folders are parts of the data, or it has one alone."""
    if len(names) > 1 and not {name.lower() for name in names} <= _PARTS:
        return
    for name in names:
        inner = _subfolders(path / name) if (path / name).is_dir() else []
        if len(inner) > 1 and not any(file.suffix.lower() in SUFFIXES for file in (path / name).iterdir()):
            raise BequeathError(
                f"image folder {path}: {name} holds no images but the folders {few(inner)}: is {path / name} the "
                "folder to give?"
            )


def _subfolders(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
