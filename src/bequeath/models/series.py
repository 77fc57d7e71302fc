"""Checkpoints along a training run, in order of their steps."""

from __future__ import annotations

import glob
import json
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bequeath.errors import BequeathError
from bequeath.files import PARTIAL
from bequeath.models.adapters import CONFIG as ADAPTER_CONFIG
from bequeath.models.adapters import FILES as ADAPTER_FILES
from bequeath.models.state_files import FOLDER_FILES, PICKLED, read_state

SERIES, SERIES_FORMAT = "series.json", "bequeath.series/1"
STEP_KEYS = ("step", "global_step")
TRAINER_STATE = "trainer_state.json"


def checkpoint_series(
    pattern_or_files: str | Path | Sequence[str | Path], where: str
) -> list[tuple[str, int, Path]]:
    """Find the checkpoints of one run and their steps.

    Parameters
    ----------
    pattern_or_files : str, Path or sequence of these
        A glob, or state files, or folders: of transformers' Trainer (``checkpoint-500``), of `save_pretrained`, or
        of PEFT adapters; or the one folder of a run that `bequeath.training` wrote.
    where : str
        What asks, such as the key of a study file; begins every error.

    Returns
    -------
    list of (str, int, Path)
        Name (``step 500``), step, and file or folder, in order of step. The step is what the checkpoint says
        (safetensors metadata, trainer_state.json, `global_step` of a Lightning or `torch.save` checkpoint), or
        ``step`` or ``checkpoint`` with a number in its name, or else the last number in its name or its folder's.

    Raises
    ------
    BequeathError
        If nothing matches, a file is missing, unreadable or without a step, or its sources give different steps, or
        two checkpoints have the same.
    """
    if isinstance(pattern_or_files, (str, Path)):
        if (Path(pattern_or_files) / SERIES).is_file():
            paths = series_files(Path(pattern_or_files))
        else:
            names = glob.glob(str(pattern_or_files), recursive=True)
            paths = sorted(Path(name) for name in names if not name.endswith(PARTIAL))
        if not paths:
            raise BequeathError(
                f"{where}: nothing matches {pattern_or_files}; check the folder and the pattern"
            )
    else:
        paths = [Path(path) for path in pattern_or_files]
        if not paths:
            raise BequeathError(f"{where}: the list is empty; give files, folders or a glob")
    found: dict[int, Path] = {}
    for path in paths:
        step = _step(path, where)
        if step in found:
            raise BequeathError(f"{where}: step {step} twice: {found[step]} and {path}; leave one out")
        found[step] = path
    return [(f"step {step}", step, found[step]) for step in sorted(found)]


def series_files(folder: Path) -> list[Path]:
    """The checkpoints, files or folders, that `bequeath.training` wrote into a folder."""
    return sorted(path for path in folder.glob("step-*[0-9]*") if path.suffix != PARTIAL)


def series_entry(folder: str | Path) -> dict[str, Any] | None:
    """What a folder that `bequeath.training` wrote says of its model: architecture, options, base.

    Returns
    -------
    dict or None
        None where it is no such folder. A path within an architecture is absolute.

    Raises
    ------
    BequeathError
        If the file is damaged or of another version.
    """
    file = Path(folder) / SERIES
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        told, architecture = content["format"], content["architecture"]
        options, base = content["options"], content["base"]
        if not isinstance(architecture, (str, type(None))) or not isinstance(options, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BequeathError(
            f"{file}: damaged; repair it, or give architecture and checkpoints apart"
        ) from None
    if told != SERIES_FORMAT:
        raise BequeathError(f"{file}: of format {told}, not {SERIES_FORMAT}")
    if architecture is not None and architecture.endswith(":."):
        architecture = f"{architecture[:-1]}{Path(folder).absolute()}"
    return {"architecture": architecture, "options": options, "base": base}


def _step(path: Path, where: str) -> int:
    if not path.exists():
        raise BequeathError(f"{where}: no such file: {path}")
    said: dict[str, int] = {}
    try:
        file = _state_file(path)
        recorded = _recorded(file)
    except BequeathError as error:
        raise BequeathError(f"{where}: {error}") from error
    if recorded is not None:
        said[file.name] = recorded
    state = file.parent / TRAINER_STATE
    if state.is_file():
        try:
            said[TRAINER_STATE] = int(json.loads(state.read_text(encoding="utf-8"))["global_step"])
        except (ValueError, KeyError, TypeError) as error:
            raise BequeathError(f"{where}: {state} has no global_step; repair or remove it") from error
    # A folder's name has no suffix, and one that looks like it (run-0.5) is part of the name.
    stem = path.name if path.is_dir() else path.stem
    names = [stem, *(() if path.is_dir() else (path.parent.name,))]
    named = [m[1] for name in names if (m := re.search(r"(?:step|checkpoint)s?[-_= ]?(\d+)", name, re.I))]
    if named:
        said["the name"] = int(named[0])
    if len(set(said.values())) > 1:
        told = ", ".join(f"{step} in {source}" for source, step in said.items())
        raise BequeathError(f"{where}: the step of {path} is {told}; rename or repair it")
    if said:
        return next(iter(said.values()))
    numbers = next((n for name in names if (n := re.findall(r"\d+", name))), None)
    if numbers is None:
        raise BequeathError(
            f"{where}: no step in {path}: neither in its metadata nor a number in its name; rename it to step-N"
        )
    return int(numbers[-1])


def _state_file(path: Path) -> Path:
    """The file that holds the weights, or their index."""
    if not path.is_dir():
        return path
    names = ADAPTER_FILES if (path / ADAPTER_CONFIG).is_file() else FOLDER_FILES
    found = [path / name for name in names if (path / name).is_file()]
    if not found:
        raise BequeathError(f"{path}: no {' or '.join(names)} in this folder; give files or other folders")
    return found[0]


def _recorded(file: Path) -> int | None:
    """The step that a state file carries; of a safetensors file only its head is read."""
    suffix = file.suffix.lower()
    if suffix == ".safetensors":
        values: Any = _metadata(file)
    elif suffix in PICKLED:
        values = _pickled(file)
    elif suffix == ".json":  # an index of several safetensors files
        return None
    else:
        read_state(file)  # refuses the suffix
        return None
    for key in STEP_KEYS:
        # bool is an int to Python; a flag is no step.
        if key in values and not isinstance(values[key], bool):
            try:
                return int(values[key])
            except (TypeError, ValueError) as error:
                raise BequeathError(
                    f"{file}: its {key} is {values[key]!r}; it must be a whole number"
                ) from error
    return None


def _metadata(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > file.stat().st_size:
                raise ValueError("cut short")
            head = json.loads(stream.read(length))
        return dict(head.get("__metadata__", {}))
    except (ValueError, struct.error, AttributeError, OSError) as error:
        raise BequeathError(f"{file}: damaged or no safetensors file; save it again") from error


def _pickled(file: Path) -> dict[str, Any]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (
        Exception
    ):  # files of the old format, or not readable at all: the reader of weights tells them apart
        read_state(file)
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception:
            return {}
    return content if isinstance(content, dict) else {}
