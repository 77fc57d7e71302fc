"""Reads the pickles of CIFAR's Python version without running any code that they name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bequeath.data.layouts.archive import Archive
from bequeath.errors import BequeathError, first_line


class _Type:
    """Replaces numpy.dtype: keeps the name and ignores the state."""

    def __init__(self, name: object = None, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        pass


class _Pixels:
    """Replaces numpy.ndarray and its constructor: accepts only unsigned 8-bit numbers."""

    array: NDArray[np.uint8]

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, by_column, content = state
        if not isinstance(dtype, _Type) or dtype.name not in ("u1", "uint8"):
            raise pickle.UnpicklingError("an array that is not of unsigned bytes")
        # Python 2 wrote bytes as strings.
        raw = content.encode("latin1") if isinstance(content, str) else content
        self.array = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if by_column else "C")


# All of them define __setstate__, so that a pickle can only change instances, not the classes.
_ADMITTED: dict[tuple[str, str], type] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Pixels,
    ("numpy.core.multiarray", "_reconstruct"): _Pixels,
    ("numpy._core.multiarray", "_reconstruct"): _Pixels,
}


class _Refused(pickle.UnpicklingError):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """Look up an object that a pickle names; only the replacements are allowed."""
        if (module, name) not in _ADMITTED:
            raise _Refused(f"{module}.{name}")
        return _ADMITTED[module, name]


def read_pickle(archive: Archive, file: Path) -> dict[str, Any]:
    """Read a pickled dictionary of plain values and arrays of unsigned bytes.

    Raises
    ------
    BequeathError
        If the pickle names any other object (its code is not run), or is damaged.
    """
    try:
        with file.open("rb") as stream:
            content = _Unpickler(stream, encoding="latin1").load()
    except _Refused as error:
        raise BequeathError(
            f"{archive.name}: {file}: this pickle names {error}, not pixels or a plain value; it was not run: do "
            f"not trust this file, get the archive from {archive.home}"
        ) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise archive.damaged(file, f"cannot be read ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise archive.damaged(file, f"holds a {type(content).__name__}, not a dictionary")
    return {
        key.decode("latin1") if isinstance(key, bytes) else str(key): (
            getattr(value, "array", None) if isinstance(value, _Pixels) else value
        )
        for key, value in content.items()
    }
