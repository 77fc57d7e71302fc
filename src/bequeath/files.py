"""Files and folders that are whole or not there, however a process ends."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

PARTIAL = ".partial"
"""How the names of files and folders end that are not whole yet, or were cut off; zarr names its own so too."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write a file or folder to, which then takes the place of `path`: all at once, even if the power goes.

    Each call has a place of its own: processes that write the same file at the same time do not disturb each other.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex[:12]}{PARTIAL}")
    try:
        yield partial
        for file in [partial, *partial.rglob("*")]:
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        if path.is_dir():
            remove(path)
        os.replace(partial, path)
    except BaseException:
        remove(partial)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Remove a file or a folder, where there is one."""
    if path.is_dir():
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


def sweep(folder: Path, names: str = "**/*") -> None:
    """Remove what writes that were cut off have left in a folder, under some names (a glob)."""
    for left in list(folder.glob(names + PARTIAL)):
        remove(left)
