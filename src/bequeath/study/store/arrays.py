"""The arrays and files of a Zarr group. An error names the file that is damaged."""

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

MEND = "remove the file and start again: only its content is computed anew"
_ANEW = "start the run again: the file is written anew, and computed results stay"


class Arrays:
    """The arrays of a group by name; each is opened once."""

    def __init__(self, path: Path, group: zarr.Group) -> None:
        self.path = path
        self._group = group
        self._open: dict[str, zarr.Array[Any]] = {}

    def array(self, name: str) -> zarr.Array[Any]:
        """Open an array.

        Raises
        ------
        BequeathError
            If it is damaged or missing, naming it.
        """
        if name not in self._open:
            try:
                array = self._group[name]
            except Exception as error:
                raise BequeathError(f"{self.path / name}: damaged or missing ({error}); {_ANEW}") from None
            assert isinstance(array, zarr.Array)
            self._open[name] = array
        return self._open[name]

    def read(self, name: str, *where: Any) -> NDArray[Any]:
        """Read a part of an array, and check its checksums.

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
        """The first damaged file in a part of an array, or the array's folder if none can be identified."""
        array = self.array(name)
        grid = [range(length // chunk) for length, chunk in zip(array.shape, array.chunks, strict=True)]
        for axis, index in enumerate(where[:2]):
            if isinstance(index, int) and len(grid) > axis:
                grid[axis] = range(index, index + 1) if array.chunks[axis] == 1 else grid[axis]
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
    """Wait until a file, and its folders within its array, would survive a power cut."""
    path = file
    while path.name != "c" and not path.exists():  # zarr writes no chunk that holds only the fill value
        path = path.parent
    while path.name != "c":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        path = path.parent
