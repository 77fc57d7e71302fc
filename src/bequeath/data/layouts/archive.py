"""An unpacked archive: its folder, its parts, and where it is had from when one is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bequeath.data.images import Box, ImageFiles
from bequeath.data.labels import choose_classes
from bequeath.errors import BequeathError
from bequeath.models.preprocessing import Preprocessing


@dataclass(frozen=True)
class Archive:
    """A published data set on disk.

    Attributes
    ----------
    name : str
        What the data set is called; begins the errors.
    home : str
        Where it is had from, for the errors.
    root : Path
        The folder that its files are relative to.
    """

    name: str
    home: str
    root: Path

    def need(self, relative: str) -> Path:
        """A file or folder of the archive.

        Raises
        ------
        BequeathError
            If it is missing.
        """
        path = self.root / relative
        if not path.exists():
            raise self.missing(path)
        return path

    def need_all(self, relatives: Sequence[str]) -> list[Path]:
        """Files of the archive, such as all images of a list.

        Raises
        ------
        BequeathError
            If some are missing, naming the first and their number.
        """
        paths = [self.root / relative for relative in relatives]
        absent = [path for path in paths if not path.is_file()]
        if absent:
            more = f" ({len(absent)} of {len(paths)} listed files are missing)" if len(absent) > 1 else ""
            raise self.missing(absent[0], more)
        return paths

    def missing(self, path: Path, more: str = "") -> BequeathError:
        """The error for a missing part."""
        return BequeathError(f"{self.name}: {path} does not exist{more}; unpack the archive from {self.home}")

    def fields(self, relative: str, count: int, separator: str | None = None) -> list[list[str]]:
        """The lines of a text file as `count` fields each; the last may hold separators.

        Raises
        ------
        BequeathError
            If the file is missing, or a line has fewer fields, naming it.
        """
        path = self.need(relative)
        rows = []
        for number, line in enumerate(self._text(path).split("\n"), 1):
            row = [field.strip() for field in line.strip().split(separator, count - 1)]
            if row in ([], [""]):
                continue
            if len(row) != count:
                raise BequeathError(
                    f"{self.name}: {path}, line {number}: {len(row)} fields where {count} are expected; "
                    f"unpack the archive from {self.home} again"
                )
            rows.append(row)
        return rows

    def damaged(self, path: Path, why: str) -> BequeathError:
        """The error for a part that does not hold what it should."""
        return BequeathError(f"{self.name}: {path}: {why}; unpack the archive from {self.home} again")

    def images(
        self,
        files: Sequence[str],
        labels: Sequence[int],
        known: Sequence[str],
        preprocessing: Preprocessing,
        *,
        split: str,
        classes: Sequence[str] | None,
        folder: str,
        box: Callable[[int], Box] | None = None,
    ) -> ImageFiles:
        """The images of some classes; `labels` index `known`, `box` gives that of file i, `folder` begins no id."""
        names, kept, labels = choose_classes(self.name, known, labels, classes)
        boxes = None if box is None else [box(i) for i in kept]
        source = f"{self.name}, {len(kept)} {split} images of {len(names)} classes in {self.root}"
        found = self.need_all([files[i] for i in kept])
        return ImageFiles(found, labels, names, preprocessing, source, self.root / folder, boxes)

    def _text(self, path: Path) -> str:
        try:
            return path.read_text("utf-8")
        except (UnicodeDecodeError, OSError) as error:
            raise self.damaged(path, f"cannot be read ({error})") from error


def unpacked(name: str, home: str, path: str | Path, folder: str) -> Archive:
    """The archive at `path`, which is its folder or the one that it was unpacked in.

    Raises
    ------
    BequeathError
        If there is no such folder.
    """
    path = Path(path)
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise BequeathError(f"{name}: {path} {what}; give the folder {folder} of the archive from {home}")
    inner = path / folder
    return Archive(name, home, inner if inner.is_dir() else path)


def check_split(name: str, split: str, splits: Sequence[str], hint: str = "") -> None:
    """Refuse a split that is none of those published with labels.

    Raises
    ------
    BequeathError
        Naming those that are.
    """
    if split not in splits:
        raise BequeathError(f"{name}: split is one of {', '.join(splits)}, not {split!r}{hint}")
