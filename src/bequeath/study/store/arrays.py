"""The files of a Zarr group: each chunk whole on the disk, or an error that names it."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from bequeath.errors import BequeathError, first_line
from bequeath.study.store.layout import COORDINATES

MEND = "remove the file and start again: only what it held is computed anew"
_ANEW = "start the run again: it is written anew, and what was computed stays"


class Arrays:
    """The arrays of a group by name, opened once."""

    def __init__(self, path: Path, group: zarr.Group) -> None:
        self.path = path
        self._group = group
        self._open: dict[str, zarr.Array[Any]] = {}

    def array(self, name: str) -> zarr.Array[Any]:
        """An array, or a `BequeathError` that names what is damaged or missing."""
        if name not in self._open:
            try:
                array = self._group[name]
            except Exception as error:
                raise BequeathError(f"{self.path / name}: damaged or missing ({error}); {_ANEW}") from None
            assert isinstance(array, zarr.Array)
            self._open[name] = array
        return self._open[name]

    def read(self, name: str, *where: Any) -> NDArray[Any]:
        """A part of an array; its checksums are checked.

        Raises
        ------
        BequeathError
            If a chunk is damaged, naming its file.
        """
        array = self.array(name)
        try:
            return np.asarray(array[where or ...])
        except Exception as error:
            advice = _ANEW if name in COORDINATES else MEND
            raise BequeathError(
                f"{self._damaged(name, where)}: damaged ({first_line(error)}); {advice}"
            ) from None

    def _damaged(self, name: str, where: tuple[Any, ...]) -> Path:
        """The first damaged file of an array's part, as near as it can be told."""
        array = self.array(name)
        grid = [range(len_ // chunk) for len_, chunk in zip(array.shape, array.chunks, strict=True)]
        for place, at in enumerate(where[:2]):
            if isinstance(at, int) and len(grid) > place:
                grid[place] = range(at, at + 1) if array.chunks[place] == 1 else grid[place]
        for position in product(*grid):
            corner = tuple(i * chunk for i, chunk in zip(position, array.chunks, strict=True))
            try:
                array[corner]
            except Exception:
                return self.path.joinpath(name, "c", *map(str, position))
        return self.path / name

    def file(self, name: str, *position: int) -> Path:
        """The file of a chunk."""
        tail = ["0"] * (len(self.array(name).shape) - len(position))
        return self.path.joinpath(name, "c", *map(str, position), *tail)


def to_disk(file: Path) -> None:
    """Wait until a file, and the names that lead to it within its array, are safe from a power cut."""
    path = file
    while path.name != "c" and not path.exists():  # zarr keeps no chunk that is all fill value
        path = path.parent
    while path.name != "c":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        path = path.parent
