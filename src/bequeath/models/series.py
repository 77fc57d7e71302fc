"""Checkpoints along a training run, in order of their steps."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError
from bequeath.files import PARTIAL, matching
from bequeath.models.architectures import SOURCES
from bequeath.models.state_files import (
    ADAPTER_CONFIG,
    ADAPTER_FILES,
    INDEX,
    PICKLED,
    is_adapter,
    read_pickled,
    read_state,
    state_file,
)

SERIES, SERIES_FORMAT = "series.json", "bequeath.series/1"
STEP_KEYS = ("step", "global_step")
TRAINER_STATE = "trainer_state.json"
_ENTRY: dict[str, type] = {"architecture": str, "options": dict, "base": str}


def checkpoint_series(
    pattern_or_files: str | Path | Sequence[str | Path], where: str
) -> list[tuple[str, int, Path]]:
    """Find the checkpoints of one run and their steps.

    Parameters
    ----------
    pattern_or_files : str, Path or sequence of these
        A glob, or state files, or folders: of transformers' Trainer (``checkpoint-500``), of `save_pretrained`, or
        of PEFT adapters; or the one folder of a run that `bequeath.training` wrote. In a glob, a part that is there
        under just that name (a folder called ``exp [v2]``) stands for itself.
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
            paths = [path for path in matching(pattern_or_files) if path.suffix != PARTIAL]
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
        told = content["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BequeathError(
            f"{file}: damaged; repair it, or give architecture and checkpoints apart"
        ) from None
    if told != SERIES_FORMAT:
        raise BequeathError(f"{file}: of format {told!r:.40}, not {SERIES_FORMAT}")
    entry = {key: content.get(key) for key in _ENTRY}
    for key, value in entry.items():
        if value is not None and not isinstance(value, _ENTRY[key]):
            raise BequeathError(
                f"{file}: its {key} is {value!r:.60}; repair it, or give architecture and checkpoints apart"
            )
    architecture = entry["architecture"]
    if architecture is not None and architecture.endswith(":."):
        entry["architecture"] = f"{architecture[:-1]}{Path(folder).absolute()}"
    return entry


def check_entry(folder: str | Path, entry: dict[str, Any]) -> None:
    """Refuse an architecture that would run code of somebody's choice: a folder may have come from anywhere.

    Raises
    ------
    BequeathError
        If the folder names a function, not one of the known libraries' models.
    """
    architecture = entry["architecture"]
    if architecture is not None and architecture.partition(":")[0] not in SOURCES:
        raise BequeathError(
            f"{Path(folder) / SERIES}: names the function {architecture!r:.60}, and a data file runs no code; where it "
            f'is yours, say so in the study file: {{architecture: "{architecture:.60}", checkpoints: {folder}}}'
        )


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
    """The file that holds the weights, the adapter, or their index."""
    if is_adapter(path):
        return next(path / name for name in ADAPTER_FILES if (path / name).is_file())
    if (path / ADAPTER_CONFIG).is_file():
        raise BequeathError(
            f"{path}: no {' or '.join(ADAPTER_FILES)} in this folder; give files or other folders"
        )
    return state_file(path)


def _recorded(file: Path) -> int | None:
    """The step that a state file carries; of a safetensors file only its head is read."""
    suffix = file.suffix.lower()
    if suffix == ".safetensors":
        values: Any = _metadata(file)
    elif suffix in PICKLED:
        values = read_pickled(file, mapped=True)
        if not isinstance(values, dict):
            return None
    elif file.name.endswith(INDEX):
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
