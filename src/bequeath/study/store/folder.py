"""A run's folder: whose it is, who works in it, and small files that are whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from bequeath.errors import BequeathError, FolderInUse, first_line
from bequeath.files import PARTIAL, refuse_links, sweep, writable, write_whole
from bequeath.printable import is_text
from bequeath.study.config import StudyConfig
from bequeath.study.config.own import NO_CODE

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

FINDINGS, REPORT, STATUS = "findings.json", "report.html", "status.json"
_STUDY = "study.yaml"
_MARK = "run.json"
_FORMAT = "bequeath.run/1"
# What other files a folder may hold before its first run: what the operating system leaves behind.
_IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini"}
_LOCK = ".lock"
# `show` holds the lock for an instant, to see whether it is free.
_PATIENCE = 1.0


def read_json(path: Path) -> Any:
    """A JSON file that a run wrote.

    Raises
    ------
    BequeathError
        If it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BequeathError(f"{path}: damaged ({first_line(error)}); remove it and start again") from None
    except OSError as error:
        raise BequeathError(f"{path}: cannot be read ({error.strerror})") from None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object that a run wrote; raises as `read_json`, also where the file holds something else."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise BequeathError(f"{path}: holds no JSON object; remove it and start again")
    return content


def kept(folder: Path, name: str, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A JSON object, made once for one key: ``name-key.json``. What belongs to another study has another key."""
    path = folder / f"{name}-{key}.json"
    if not path.exists():
        write_whole(path, json.dumps(make()))
    return read_object(path)


def claim(folder: Path) -> None:
    """Make a folder a run's own.

    Raises
    ------
    BequeathError
        If it holds something else: nothing there is ever overwritten; if it cannot be written, or holds links.
    """
    if not is_text(folder.absolute()):
        raise BequeathError(f"{folder}: the name is not UTF-8; choose another --out")
    with writable(folder):
        _claim(folder)
    refuse_links(folder)


def _claim(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BequeathError(f"{folder}: is a file; give --out a folder of its own")
    mark = folder / _MARK
    if mark.is_file():
        content = read_json(mark)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise BequeathError(f"{mark}: made by something else or by another version; choose another --out")
        return
    others = sorted({p.name for p in folder.iterdir()} - _IGNORED - {_LOCK}) if folder.exists() else []
    foreign = [name for name in others if not (name.startswith(_MARK) and name.endswith(PARTIAL))]
    if foreign and not _was_a_run(folder):
        raise BequeathError(
            f"{folder}: not a run's folder: it holds {', '.join(others[:3])}{', ...' if len(others) > 3 else ''}; "
            "choose a new or empty folder for --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(mark, json.dumps({"format": _FORMAT}))


def claim_plain(folder: Path, inside: str, whose: str) -> None:
    """Make a folder that of a command which keeps what it computes in one folder inside.

    Parameters
    ----------
    folder : Path
    inside : str
        Name of that folder: by it the command knows its own.
    whose : str
        What such a folder is called: ``a ranking's``.

    Raises
    ------
    BequeathError
        If it is a file, holds something else, or cannot be written.
    """
    if not is_text(folder.absolute()):
        raise BequeathError(f"{folder}: the name is not UTF-8; choose another --out")
    if folder.exists() and not folder.is_dir():
        raise BequeathError(f"{folder}: is a file; give --out a folder of its own")
    with writable(folder):
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if names and inside not in names:
            raise BequeathError(
                f"{folder}: not {whose} folder: it holds {', '.join(sorted(names)[:3])}; choose a new or empty one "
                "for --out"
            )
        (folder / inside).mkdir(parents=True, exist_ok=True)


def _was_a_run(folder: Path) -> bool:
    """Whether a folder without its mark is a run's all the same: a mark that was damaged may be removed."""
    try:
        return str(read_object(folder / STATUS).get("schema")).startswith("bequeath.status/")
    except BequeathError:
        return False


def keep_study(folder: Path, config: StudyConfig) -> None:
    """Write the study as resolved. Findings of another one go, so that the two never stand side by side.

    Raises
    ------
    BequeathError
        If the study that lies there was written by somebody else, and is not the one that is to be run.
    """
    path, mark = folder / _STUDY, folder / _MARK
    resolved = _resolved(config)
    if path.exists():
        text = path.read_text(encoding="utf-8", errors="replace")
        if _digest(text) != read_json(mark).get(_STUDY) and not _is(text, config):
            raise BequeathError(
                f"{path}: damaged, or changed by hand; run it as a study file (bequeath run {path} --out ...), or move "
                "it away"
            )
        if text != resolved:
            for stale in (FINDINGS, REPORT):
                (folder / stale).unlink(missing_ok=True)
    write_whole(path, resolved)
    write_whole(mark, json.dumps({"format": _FORMAT, _STUDY: _digest(resolved)}))


def read_study(folder: Path) -> StudyConfig:
    """The study that lies in a run's folder.

    Raises
    ------
    BequeathError
        If there is none, or it is damaged.
    """
    path = folder / _STUDY
    try:
        return StudyConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")), context=NO_CODE)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise BequeathError(f"{path}: cannot be read ({reason}); run the study again") from None


def holds_study(folder: Path, config: StudyConfig) -> bool:
    """Whether the study as resolved lies in a folder."""
    path = folder / _STUDY
    return path.is_file() and path.read_text(encoding="utf-8", errors="replace") == _resolved(config)


def _resolved(config: StudyConfig) -> str:
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is(text: str, config: StudyConfig) -> bool:
    try:
        return StudyConfig.model_validate(yaml.safe_load(text), context=NO_CODE) == config
    except (ValueError, yaml.YAMLError):
        return False


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep a folder to this process; the lock goes with the process, however it ends.

    What the one before has left half written goes first.

    Raises
    ------
    FolderInUse
        If another process is at work there.
    """
    lock = FileLock(folder / _LOCK)
    with writable(folder):
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout:  # an OSError too, but none of the disk's
            raise FolderInUse(
                f"{folder}: another process is at work in this folder (bequeath show {folder}); wait for it, stop it, "
                "or choose another --out"
            ) from None
    try:
        sweep(folder)
        yield
    finally:
        lock.release()


def in_use(folder: Path) -> bool:
    """Whether a process is at work in a run's folder."""
    if not (folder / _LOCK).exists():
        return False
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder of somebody else's, or on a disk that is only read
        return _is_locked(folder / _LOCK)
    lock.release()
    return False


def _is_locked(file: Path) -> bool:
    """Whether a lock that this process may only read is held."""
    if fcntl is None:
        return False
    try:
        handle = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
