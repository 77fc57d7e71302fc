"""Images in a folder with one sub-folder a class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bequeath.data.images import DEFAULT, SUFFIXES, ImageFiles
from bequeath.data.labels import check_classes
from bequeath.errors import BequeathError, few
from bequeath.models.preprocessing import Preprocessing
from bequeath.printable import is_text

# Parts that data come in: nobody's classes.
_PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "holdout"})


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
