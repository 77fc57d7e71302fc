"""An unpacked archive: its folder and files, and errors that say where to get it."""

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
        Name of the data set; begins the errors.
    home : str
        Where it can be downloaded, for the errors.
    root : Path
        Folder of its files; paths are relative to it.
    """

    name: str
    home: str
    root: Path

    def need(self, relative: str) -> Path:
        """The path of a file or folder of the archive.

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
        """The paths of files of the archive, such as all images of a list.

        Raises
        ------
        BequeathError
            If some are missing, naming the first and how many there are.
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
        """Read the lines of a text file as `count` fields each; the last field may hold separators.

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
        """The error for a file with the wrong content."""
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
        """The images of some classes.

        Parameters
        ----------
        files : sequence of str
            Paths of all images, relative to `root`.
        labels : sequence of int
            One index into `known` per file.
        known : sequence of str
            All class names.
        preprocessing : Preprocessing
        split : str
            For the description of the source.
        classes : sequence of str or None
            Classes to use; None means all.
        folder : str
            Folder of the images. Ids are paths relative to it.
        box : callable, optional
            Gives the box of file i.

        Raises
        ------
        BequeathError
            If a class is unknown or a file is missing.
        """
        names, kept, labels = choose_classes(self.name, known, labels, classes)
        boxes = None if box is None else [box(i) for i in kept]
        source = f"{self.name}, {len(kept)} {split} images of {len(names)} classes in {self.root}"
        paths = self.need_all([files[i] for i in kept])
        return ImageFiles(paths, labels, names, preprocessing, source, self.root / folder, boxes)

    def _text(self, path: Path) -> str:
        try:
            return path.read_text("utf-8")
        except (UnicodeDecodeError, OSError) as error:
            raise self.damaged(path, f"cannot be read ({error})") from error


def unpacked(name: str, home: str, path: str | Path, folder: str) -> Archive:
    """The archive at `path`, which is its folder or the parent of its folder.

    Raises
    ------
    BequeathError
        If there is no such folder.
    """
    path = Path(path)
    if not path.is_dir():
        problem = "is a file, not a folder" if path.exists() else "does not exist"
        raise BequeathError(f"{name}: {path} {problem}; give the folder {folder} of the archive from {home}")
    inner = path / folder
    return Archive(name, home, inner if inner.is_dir() else path)


def check_split(name: str, split: str, splits: Sequence[str], hint: str = "") -> None:
    """Refuse a split that is not published with labels.

    Raises
    ------
    BequeathError
        Lists the allowed splits.
    """
    if split not in splits:
        raise BequeathError(f"{name}: split is one of {', '.join(splits)}, not {split!r}{hint}")
