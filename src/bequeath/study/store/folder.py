"""A run's folder: its mark and lock, and its small files, which are complete or absent."""

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
# Files of the operating system, which a folder may hold before its first run.
_IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini"}
_LOCK = ".lock"
# Seconds to wait for the lock, because `bequeath show` holds it for an instant to see whether it is free.
_TIMEOUT = 1.0


def read_json(path: Path) -> Any:
    """Read a JSON file that a run wrote.

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
        raise BequeathError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object that a run wrote.

    Raises
    ------
    BequeathError
        If the file is damaged, or holds no object.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise BequeathError(f"{path}: holds no JSON object; remove it and start again")
    return content


def kept(folder: Path, name: str, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A JSON object that is made only once for a key, and then read from ``name-key.json``.

    Parameters
    ----------
    folder : Path
    name : str
        What the object is.
    key : str
        Digest of everything that it depends on; another study has another key.
    make : callable
        Makes the object, if there is no file.
    """
    path = folder / f"{name}-{key}.json"
    if not path.exists():
        write_whole(path, json.dumps(make()))
    return read_object(path)


def claim(folder: Path) -> None:
    """Mark a folder as a run's folder. Other files in it are never overwritten.

    Raises
    ------
    BequeathError
        If it holds something else, cannot be written, or holds links.
    """
    if not is_text(folder.absolute()):
        raise BequeathError(f"{folder}: the name is not UTF-8; choose another --out")
    with writable(folder):
        _claim(folder)
    refuse_links(folder)


def _claim(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BequeathError(f"{folder}: is a file; give a folder as --out")
    mark = folder / _MARK
    if mark.is_file():
        content = read_json(mark)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise BequeathError(f"{mark}: not a run's mark of this version; choose another --out")
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
    """Claim a folder for a command that keeps its results in one sub-folder.

    Parameters
    ----------
    folder : Path
    inside : str
        Name of the sub-folder, by which the command recognises its own folders.
    whose : str
        What such a folder is called in the error: ``a ranking's``.

    Raises
    ------
    BequeathError
        If it is a file, holds something else, or cannot be written.
    """
    if not is_text(folder.absolute()):
        raise BequeathError(f"{folder}: the name is not UTF-8; choose another --out")
    if folder.exists() and not folder.is_dir():
        raise BequeathError(f"{folder}: is a file; give a folder as --out")
    with writable(folder):
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if names and inside not in names:
            raise BequeathError(
                f"{folder}: not {whose} folder: it holds {', '.join(sorted(names)[:3])}; choose a new or empty one "
                "for --out"
            )
        (folder / inside).mkdir(parents=True, exist_ok=True)


def _was_a_run(folder: Path) -> bool:
    """Whether a folder without a mark is a run's folder nevertheless, because a damaged mark was removed."""
    try:
        return str(read_object(folder / STATUS).get("schema")).startswith("bequeath.status/")
    except BequeathError:
        return False


def keep_study(folder: Path, config: StudyConfig) -> None:
    """Write the complete study into the folder. Findings of another study are removed, so that the two always match.

    Raises
    ------
    BequeathError
        If the folder's study was changed by hand, and is not the one that is to be run.
    """
    path, mark = folder / _STUDY, folder / _MARK
    resolved = _resolved(config)
    if path.exists():
        text = path.read_text(encoding="utf-8", errors="replace")
        if _digest(text) != read_json(mark).get(_STUDY) and not _is(text, config):
            raise BequeathError(
                f"{path}: damaged or changed by hand; to use the changes, run it as a study file (bequeath run {path} "
                "--out ...), else move it away"
            )
        if text != resolved:
            for stale in (FINDINGS, REPORT):
                (folder / stale).unlink(missing_ok=True)
    write_whole(path, resolved)
    write_whole(mark, json.dumps({"format": _FORMAT, _STUDY: _digest(resolved)}))


def read_study(folder: Path) -> StudyConfig:
    """Read the study of a run's folder.

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
    """Whether a folder holds exactly this study."""
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
    """Lock a folder for this process while the `with` statement lasts, or until the process ends in any way.

    Files that an earlier process left unfinished are removed.

    Raises
    ------
    FolderInUse
        If another process works in the folder.
    """
    lock = FileLock(folder / _LOCK)
    with writable(folder):
        try:
            lock.acquire(timeout=_TIMEOUT)
        except Timeout:  # caught here, because it is an OSError, but not an error of the disk
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
    """Whether a process works in a run's folder."""
    if not (folder / _LOCK).exists():
        return False
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # the folder belongs to another user, or the disk is read-only
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
