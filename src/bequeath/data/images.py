"""Images: a folder with one sub-folder a class, or arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from bequeath.data.samples import Sample
from bequeath.errors import BequeathError
from bequeath.games.inputs import Kind

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Resize = Literal["crop", "squash"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFolder:
    """Image files in one sub-folder per class, read when asked for.

    Parameters
    ----------
    path : str or Path
        Folder that holds a folder of image files for each class.
    size : int
        Height and width that the model is given.
    mean, std : three floats
        Per-channel normalisation of RGB in 0..1.
    resize : "crop" or "squash"
        "crop" brings the short side to `size` and cuts out the centre; "squash" brings both sides to `size`.
    classes : sequence of str, optional
        Sub-folders to use, in the order of the model's outputs; by default all, sorted by name.

    Raises
    ------
    BequeathError
        If the folder, its class folders or their images are missing, or an argument is out of range.
    """

    kind: Kind = "image"

    def __init__(
        self,
        path: str | Path,
        size: int = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        resize: Resize = "crop",
        classes: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            what = "is a file, not a folder" if self.path.exists() else "does not exist"
            raise BequeathError(
                f"image folder {self.path}: {what}; give a folder with one sub-folder per class"
            )
        if resize not in ("crop", "squash"):
            raise BequeathError(f'image folder {self.path}: resize is "crop" or "squash", not {resize!r}')
        self.size, self.resize = size, resize
        self._normalise = _Normalise(f"image folder {self.path}", size, mean, std)
        self.classes = self._class_folders(classes)
        files = [self._image_files(name) for name in self.classes]
        self.files = tuple(file for members in files for file in members)
        self.labels = tuple(label for label, members in enumerate(files) for _ in members)
        self.source = f"{len(self)} images of {len(self.classes)} classes in {self.path}"

    def _class_folders(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        found = _subfolders(self.path)
        if not found:
            raise BequeathError(
                f"image folder {self.path}: no class folders; put the images of each class in a sub-folder"
            )
        if wanted is None:
            return tuple(found)
        missing = [name for name in wanted if name not in found]
        if missing:
            raise BequeathError(
                f"image folder {self.path}: no folder for class {missing[0]!r}; there are {_few(found)}"
            )
        return tuple(wanted)

    def _image_files(self, name: str) -> list[Path]:
        folder = self.path / name
        files = sorted(
            f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")
        )
        if not files:
            inner = _subfolders(folder)
            hint = (
                f"it holds the folders {_few(inner)}: is {folder} the folder to give?"
                if inner
                else (f"add images ({', '.join(sorted(SUFFIXES))}) or remove the folder")
            )
            raise BequeathError(f"image folder {folder}: class {name!r} has no images; {hint}")
        return files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> Sample:
        """Sample i.

        Raises
        ------
        BequeathError
            If its file cannot be read, naming it.
        """
        file = self.files[i]
        picture = self._view(_read(file))
        return Sample(
            file.relative_to(self.path).as_posix(), self._normalise(picture), self.labels[i], picture
        )

    def _view(self, image: Image.Image) -> NDArray[np.uint8]:
        """The part of the image that the model sees: uint8 (size, size, 3)."""
        target = (self.size, self.size)
        if self.resize == "crop":
            image = ImageOps.fit(image, target, method=Image.Resampling.BILINEAR)
        else:
            image = image.resize(target, Image.Resampling.BILINEAR)
        return np.array(image, dtype=np.uint8)

    def check(self, indices: Iterable[int] | None = None) -> None:
        """Read the files of these samples (default: all), so that a bad one shows before hours are spent.

        Raises
        ------
        BequeathError
            Naming the first files that cannot be read and the number of them.
        """
        chosen = range(len(self)) if indices is None else list(indices)
        problems = []
        for i in chosen:
            try:
                _read(self.files[i])
            except BequeathError as error:
                problems.append(str(error))
        if problems:
            more = f" ({len(problems)} of {len(chosen)} files are bad)" if len(problems) > 1 else ""
            raise BequeathError(problems[0] + more)


class ImageArray:
    """Images held in an array.

    Parameters
    ----------
    images : ndarray
        uint8, shape (samples, height, width) for grey, repeated to three channels, or (..., 3) for RGB.
    labels : sequence of int
        One index into `classes` per image.
    classes : sequence of str
        Names, in the order of the model's outputs.
    size : int
        Height and width that the model is given; resized bilinearly.
    mean, std : three floats
        Per-channel normalisation of RGB in 0..1.
    source : str
        Where the images come from, for reports and errors.

    Raises
    ------
    BequeathError
        If shapes, dtypes or labels do not fit together.
    """

    kind: Kind = "image"

    def __init__(
        self,
        images: NDArray[Any],
        labels: Sequence[int] | NDArray[Any],
        classes: Sequence[str],
        size: int = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        source: str = "image array",
    ) -> None:
        rgb = images.ndim == 4 and images.shape[3] == 3
        if images.dtype != np.uint8 or not (images.ndim == 3 or rgb):
            raise BequeathError(
                f"{source}: images must be uint8 of shape (n, height, width) or (n, height, width, 3), not "
                f"{images.dtype} {images.shape}"
            )
        array = np.asarray(labels)
        if array.shape != (len(images),) or array.dtype.kind not in "iu":
            raise BequeathError(
                f"{source}: {len(images)} images need as many integer labels, not {array.dtype} {array.shape}"
            )
        bad = np.flatnonzero((array < 0) | (array >= len(classes)))
        if len(bad):
            raise BequeathError(
                f"{source}: label {array[bad[0]]} of image {bad[0]} is not in 0..{len(classes) - 1}; there "
                f"are {len(classes)} classes"
            )
        self.images = images
        self.labels = tuple(int(label) for label in array)
        self.classes = tuple(classes)
        self.size, self.source = size, source
        self._normalise = _Normalise(source, size, mean, std)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        """Sample i; its id is the index."""
        image = torch.tensor(self.images[i])
        channels = image.expand(3, *image.shape) if image.ndim == 2 else image.permute(2, 0, 1)
        resized = F.interpolate(
            channels[None].float(), size=(self.size, self.size), mode="bilinear", antialias=True
        )[0]
        picture = resized.round().clamp(0, 255).permute(1, 2, 0).to(torch.uint8).numpy()
        return Sample(str(range(len(self))[i]), self._normalise(picture), self.labels[i], picture)


class _Normalise:
    """uint8 (height, width, 3) to float32 (3, height, width): (x / 255 - mean) / std."""

    def __init__(self, place: str, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        if size < 1:
            raise BequeathError(f"{place}: size {size}; give the model's input size in pixels")
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise BequeathError(
                f"{place}: mean {tuple(mean)} and std {tuple(std)} must have 3 values each, std above 0"
            )
        self.mean, self.std = torch.tensor([mean, std], dtype=torch.float32)[:, :, None, None]

    def __call__(self, picture: NDArray[np.uint8]) -> Tensor:
        image: Tensor = (torch.from_numpy(picture).permute(2, 0, 1).float() / 255 - self.mean) / self.std
        return image


def _read(file: Path) -> Image.Image:
    """The whole image, upright, RGB."""
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                # Pillow would clip deeper pixels to 255 without a word: an all-white picture.
                raise BequeathError(
                    f"image {file}: its pixels have more than 8 bits; convert it to 8-bit RGB"
                )
            return ImageOps.exif_transpose(image).convert("RGB")
    except BequeathError:
        raise
    # Pillow's decoders raise all of these on damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BequeathError(f"image {file}: cannot be read ({reason}); replace or remove it") from error


def _subfolders(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _few(names: Sequence[str], most: int = 8) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
