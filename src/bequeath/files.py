"""Files and folders that are whole or not there, however a process ends."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from bequeath.errors import BequeathError

PARTIAL = ".partial"
"""How the names of files and folders end that are not whole yet, or were cut off; zarr names its own so too."""


def _beside(path: Path) -> Path:
    """A new name beside a file or folder, for what is not whole; `sweep` removes what bears one."""
    return path.with_name(f"{path.name}.{uuid4().hex[:12]}{PARTIAL}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write a file or folder to, which then takes the place of `path`: all at once, even if the power goes.

    Each call has a place of its own: processes that write the same file at the same time do not disturb each other.
    """
    partial = _beside(path)
    try:
        yield partial
        for file in [partial, *partial.rglob("*")]:
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        if path.is_dir() and not path.is_symlink():
            remove(path)
        os.replace(partial, path)  # a link is replaced, too, not followed
    except BaseException as error:
        with suppress(OSError):
            remove(partial)
        if isinstance(error, OSError) and error.filename == str(partial):
            error.filename = str(path)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all; parts of names that are not UTF-8 are written out."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def matching(pattern: str | Path) -> list[Path]:
    """Files and folders that fit a pattern, in order; what is there under just its name stands for itself."""
    return sorted(Path(name) for name in glob.glob(literal(pattern), recursive=True))


def literal(pattern: str | Path) -> str:
    """A pattern whose parts that are there under just that name, such as a folder ``exp [v2]``, are no patterns."""
    path = Path(pattern)
    done, places = path.anchor, [path.anchor]
    for part in path.parts[1 if path.anchor else 0 :]:
        there = any(os.path.lexists(os.path.join(place, part)) for place in places)
        done = os.path.join(done, glob.escape(part) if there else part)
        places = glob.glob(done, recursive=True)
    return done


def discard(folder: Path) -> None:
    """Remove a folder so that it is gone at once, even if what was in it is not yet."""
    if folder.exists():
        left = _beside(folder)
        os.replace(folder, left)
        shutil.rmtree(left, ignore_errors=True)


def sweep(folder: Path, names: str = "**/*") -> None:
    """Remove what writes that were cut off have left in a folder, under some names (a glob)."""
    for left in list(folder.glob(names + PARTIAL)):
        remove(left)


NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
"""Errors of a disk that is full."""


@contextmanager
def writable(place: Path) -> Iterator[None]:
    """What is written within the block is of this place: where it cannot be written, that is told in one line.

    Raises
    ------
    BequeathError
        If something there cannot be written; for a full disk the error is left as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise BequeathError(
            f"{error.filename or place}: cannot be written ({error.strerror or error}); choose another place, or make "
            "this one writable"
        ) from None


def refuse_links(folder: Path) -> None:
    """Refuse a folder that holds links: what is written through one lands somewhere else.

    Raises
    ------
    BequeathError
        Naming the first link.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(place, name)):
                raise BequeathError(
                    f"{Path(place, name)}: a link; nothing is written through links: put what it points to in its "
                    "place, or remove it"
                )
