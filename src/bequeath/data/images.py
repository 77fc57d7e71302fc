"""Labelled images, from files or arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bequeath.data.labels import check_labels
from bequeath.data.samples import Sample
from bequeath.errors import BequeathError, first_line
from bequeath.games.inputs import Modality
from bequeath.models.preprocessing import Preprocessing
from bequeath.printable import printable

DEFAULT = Preprocessing()

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""


class Images:
    """Base class of labelled pictures, each opened when it is used. A subclass defines how `open` reads one.

    Parameters
    ----------
    ids : sequence of str
        Unique names of the pictures.
    labels : sequence of int
        One index into `classes` per picture.
    classes : sequence of str
        Names, in the order of the model's outputs.
    preprocessing : Preprocessing
        Turns a picture into the model's input.
    source : str
        Where the pictures come from, for reports and errors.

    Raises
    ------
    BequeathError
        If ids, labels and classes do not fit together.
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
        self.ids = ids
        self.labels = check_labels(source, "image", len(ids), labels, classes)
        self.classes = tuple(classes)
        self.preprocessing = preprocessing
        self.source = source

    def open(self, i: int) -> Image.Image:
        """The whole picture i, upright, in RGB."""
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
        return Sample(self.ids[i], self.preprocessing.normalise(picture), self.labels[i], picture)

    def check(self, indices: Iterable[int] | None = None) -> None:
        """Read pictures, so that a bad one is found before long work starts.

        Parameters
        ----------
        indices : iterable of int, optional
            Which samples; by default all.

        Raises
        ------
        BequeathError
            Names the first picture that cannot be read, and how many there are.
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
    """A list of image files, each read when it is used.

    Parameters
    ----------
    files : sequence of Path
    labels, classes, preprocessing, source
        As for `Images`.
    root : Path, optional
        Folder that holds the files: a sample's id is its file's path from there. By default, the path as given.
    boxes : sequence of four ints, optional
        The part of each picture that is used: left, top, right, bottom in pixels; right and bottom are exclusive.

    Raises
    ------
    BequeathError
        If the arguments do not fit together.

    Examples
    --------
    >>> ImageFiles(["a.png", "b.png"], labels=[0, 1], classes=["cat", "dog"])
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
        # File names need not be UTF-8, but ids must be printable.
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
        """The picture of file i, upright, in RGB, cropped to its box."""
        place = f"image {self.files[i]}"
        image = read_image(place, self.files[i])
        if self.boxes is None:
            return image
        left, top, right, bottom = self.boxes[i]
        # A few published boxes reach over the edge of their picture.
        box = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
        if box[0] >= box[2] or box[1] >= box[3]:
            raise BequeathError(
                f"{place}: the box {self.boxes[i]} lies outside its {image.width} x {image.height} pixels; "
                "correct the box or remove the image"
            )
        return image.crop(box)


class ImageArray(Images):
    """Images in an array.

    Parameters
    ----------
    images : ndarray
        uint8, shape (samples, height, width) for grey, which is repeated to three channels, or
        (samples, height, width, 3) for RGB.
    labels, classes, preprocessing, source
        As for `Images`.
    ids : sequence of str, optional
        Unique names of the images; by default their numbers.

    Raises
    ------
    BequeathError
        If shapes, dtypes or labels do not fit together.

    Examples
    --------
    >>> grey = np.zeros((2, 28, 28), dtype=np.uint8)
    >>> ImageArray(grey, [0, 1], ["cat", "dog"], Preprocessing(size=32))[0].x.shape
    torch.Size([3, 32, 32])
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
        """Image i, in RGB."""
        return Image.fromarray(self.images[i]).convert("RGB")


def read_image(place: str, file: Path | BinaryIO) -> Image.Image:
    """Read a whole image, upright, in RGB; `place` begins the errors.

    Raises
    ------
    BequeathError
        If it is missing or damaged, or its pixels have more than 8 bits.
    """
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                # Pillow would silently clip deeper pixels to 255, which gives a white picture.
                raise BequeathError(f"{place}: its pixels have more than 8 bits; convert it to 8-bit RGB")
            return ImageOps.exif_transpose(image).convert("RGB")
    except BequeathError:
        raise
    # Pillow's decoders raise any of these on damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise BequeathError(f"{place}: cannot be read ({first_line(error)}); replace or remove it") from error
