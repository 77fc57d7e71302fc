"""Writes files and folders completely or not at all, even if the process is killed."""

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
"""Ending of the names of files and folders that are incomplete; zarr uses the same ending."""


def _beside(path: Path) -> Path:
    """A new name in the same folder for an incomplete file or folder; `sweep` removes these."""
    return path.with_name(f"{path.name}.{uuid4().hex[:12]}{PARTIAL}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file or folder to a temporary path, which then replaces `path` in one step, even if the power fails.

    Each call has a path of its own, so processes that write the same file at the same time do not disturb each other.

    Yields
    ------
    Path
        The temporary path, in the same folder.
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
        os.replace(partial, path)  # replaces a link instead of following it
    except BaseException as error:
        with suppress(OSError):
            remove(partial)
        if isinstance(error, OSError) and error.filename == str(partial):
            error.filename = str(path)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file completely or not at all; characters that are not UTF-8 are written as escapes."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def matching(pattern: str | Path) -> list[Path]:
    """Files and folders that match a pattern, sorted. An existing name with special characters matches itself."""
    return sorted(Path(name) for name in glob.glob(literal(pattern), recursive=True))


def literal(pattern: str | Path) -> str:
    """The pattern with parts escaped that exist under exactly this name, such as a folder ``exp [v2]``."""
    path = Path(pattern)
    escaped, folders = path.anchor, [path.anchor]
    for part in path.parts[1 if path.anchor else 0 :]:
        exists = any(os.path.lexists(os.path.join(folder, part)) for folder in folders)
        escaped = os.path.join(escaped, glob.escape(part) if exists else part)
        folders = glob.glob(escaped, recursive=True)
    return escaped


def discard(folder: Path) -> None:
    """Remove a folder so that its name is free at once, even if removing its content takes time or fails."""
    if folder.exists():
        moved = _beside(folder)
        os.replace(folder, moved)
        shutil.rmtree(moved, ignore_errors=True)


def sweep(folder: Path, names: str = "**/*") -> None:
    """Remove incomplete files and folders that interrupted writes have left in a folder; `names` is a glob."""
    for partial in list(folder.glob(names + PARTIAL)):
        remove(partial)


NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
"""Error numbers of a full disk."""


@contextmanager
def writable(place: Path) -> Iterator[None]:
    """Turn errors of writing within the block into a `BequeathError` that names the file, or else `place`.

    Raises
    ------
    BequeathError
        If something cannot be written. Errors of a full disk are raised as they are.
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
    """Refuse a folder that contains links, because writing through a link changes a file elsewhere.

    Raises
    ------
    BequeathError
        If there is a link; the message names the first one.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(place, name)):
                raise BequeathError(
                    f"{Path(place, name)}: a link; nothing is written through links: replace it by what it points to, "
                    "or remove it"
                )
