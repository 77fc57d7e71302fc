"""Images in a folder with one sub-folder per class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bequeath.data.images import DEFAULT, SUFFIXES, ImageFiles
from bequeath.data.labels import check_classes
from bequeath.errors import BequeathError, few
from bequeath.models.preprocessing import Preprocessing
from bequeath.printable import is_text

# Usual names of splits, which are not classes.
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "holdout"})


class ImageFolder(ImageFiles):
    """Image files in one sub-folder per class, each read when it is used.

    Parameters
    ----------
    path : str or Path
        Folder with a sub-folder for each class. Images may lie in it and in folders below it, as for torchvision's
        ImageFolder.
    preprocessing : Preprocessing
        Turns a picture into the model's input; by default 224 pixels, as is usual for ImageNet.
    classes : sequence of str, optional
        Sub-folders to use, in the order of the model's outputs; by default all, sorted by name (10 before 2, as in
        torchvision). A listed class may have no folder or an empty one.

    Raises
    ------
    BequeathError
        If the folder, its class folders or their images are missing.

    Examples
    --------
    >>> held_out = ImageFolder("data/val", Preprocessing(size=96))
    >>> held_out.classes, held_out.labels[:3], held_out[0].x.shape
    """

    def __init__(
        self, path: str | Path, preprocessing: Preprocessing = DEFAULT, classes: Sequence[str] | None = None
    ) -> None:
        self.path = Path(path)
        place = f"image folder {self.path}"
        if not self.path.is_dir():
            problem = "is a file, not a folder" if self.path.exists() else "does not exist"
            raise BequeathError(f"{place}: {problem}; give a folder with one sub-folder per class")
        folders = _subfolders(self.path)
        if not folders:
            raise BequeathError(f"{place}: no class folders; put the images of each class in a sub-folder")
        names = tuple(folders) if classes is None else _check_listed(place, folders, classes)
        for name in names:
            if not is_text(name):
                raise BequeathError(f"{place}: class {name!r}: the name is not UTF-8; rename the folder")
        _check_level(self.path, names)
        files_of = [_image_files(self.path / name) if name in folders else [] for name in names]
        empty = [name for name, files in zip(names, files_of, strict=True) if not files]
        if empty and (classes is None or len(empty) == len(names)):
            raise BequeathError(
                f"image folder {self.path / empty[0]}: class {empty[0]!r} has no images; add some "
                f"({', '.join(sorted(SUFFIXES))}), remove the folder, or list all classes under classes"
            )
        all_files = [file for files in files_of for file in files]
        labels = [label for label, files in enumerate(files_of) for _ in files]
        source = f"{len(all_files)} images of {len(names)} classes in {self.path}"
        super().__init__(all_files, labels, names, preprocessing, source, root=self.path)


def _image_files(folder: Path) -> list[Path]:
    """Images in a folder and in all folders below it, as torchvision's ImageFolder finds them, without hidden ones."""
    images: list[Path] = []
    visited: set[str] = set()
    for place, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        subfolders[:] = [] if real in visited else sorted(n for n in subfolders if not n.startswith("."))
        if real in visited:  # a link to a folder above
            continue
        visited.add(real)
        files = (Path(place, name) for name in names if not name.startswith("."))
        images += (file for file in files if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(images)


def _check_listed(place: str, folders: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The classes that a user lists. A class without a folder has no pictures, but if some folder is not listed, the
    name may be a mistake for it, and is refused."""
    absent = [name for name in wanted if name not in folders]
    if set(folders) <= set(wanted):
        return check_classes(place, wanted, wanted)
    if absent and not isinstance(wanted, str):
        raise BequeathError(
            f"{place}: no class {absent[0]!r}; there are {few(folders)}; make an empty folder if it has no pictures "
            "here"
        )
    return check_classes(place, folders, wanted)


def _check_level(path: Path, names: Sequence[str]) -> None:
    """Refuse the parent of the folder that is meant: its sub-folders are splits, or it has only one."""
    if len(names) > 1 and not {name.lower() for name in names} <= _SPLITS:
        return
    for name in names:
        inner = _subfolders(path / name) if (path / name).is_dir() else []
        if len(inner) > 1 and not any(file.suffix.lower() in SUFFIXES for file in (path / name).iterdir()):
            raise BequeathError(
                f"image folder {path}: {name} holds no images, only the folders {few(inner)}; did you mean "
                f"{path / name}?"
            )


def _subfolders(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
