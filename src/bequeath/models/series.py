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
    """Find the checkpoints of one training run, and their steps.

    Parameters
    ----------
    pattern_or_files : str, Path or sequence of these
        A glob; state files; folders of transformers' Trainer (``checkpoint-500``), of `save_pretrained`, or of PEFT
        adapters; or the folder that `bequeath.training` wrote for a run. A part of a glob that exists under exactly
        that name (a folder called ``exp [v2]``) is taken literally.
    where : str
        Begins every error, such as the key of a study file.

    Returns
    -------
    list of (str, int, Path)
        Name (``step 500``), step, and file or folder, in order of step. The step comes from the checkpoint
        (safetensors metadata, trainer_state.json, `global_step` of a Lightning or `torch.save` checkpoint), or from
        ``step`` or ``checkpoint`` with a number in its name; otherwise it is the last number in its name or its
        folder's name.

    Raises
    ------
    BequeathError
        If nothing matches; a file is missing, unreadable or has no step; its sources give different steps; or two
        checkpoints have the same step.

    Examples
    --------
    >>> checkpoint_series("runs/ft/step-*.safetensors", "models.finetuned")
    [('step 1', 1, PosixPath('runs/ft/step-000001.safetensors')), ...]
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
    by_step: dict[int, Path] = {}
    for path in paths:
        step = _step(path, where)
        if step in by_step:
            raise BequeathError(f"{where}: step {step} twice: {by_step[step]} and {path}; leave one out")
        by_step[step] = path
    return [(f"step {step}", step, by_step[step]) for step in sorted(by_step)]


def series_files(folder: Path) -> list[Path]:
    """The checkpoints, files or folders, that `bequeath.training` wrote into a folder."""
    return sorted(path for path in folder.glob("step-*[0-9]*") if path.suffix != PARTIAL)


def series_entry(folder: str | Path) -> dict[str, Any] | None:
    """Read the architecture, its options and the base of the model whose checkpoints a folder holds.

    Parameters
    ----------
    folder : str or Path
        A folder that `bequeath.training` wrote.

    Returns
    -------
    dict or None
        ``architecture``, ``options`` and ``base``, each None if it is not known; a path in the architecture is
        absolute. None for other folders.

    Raises
    ------
    BequeathError
        If series.json is damaged or of another version.
    """
    file = Path(folder) / SERIES
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        format_name = content["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BequeathError(
            f"{file}: damaged; repair it, or give architecture and checkpoints in the study file"
        ) from None
    if format_name != SERIES_FORMAT:
        raise BequeathError(
            f"{file}: has the format {format_name!r:.40}, not {SERIES_FORMAT}; give architecture and "
            "checkpoints in the study file"
        )
    entry = {key: content.get(key) for key in _ENTRY}
    for key, value in entry.items():
        if value is not None and not isinstance(value, _ENTRY[key]):
            raise BequeathError(
                f"{file}: its {key} is {value!r:.60}; repair it, or give architecture and checkpoints in the study file"
            )
    architecture = entry["architecture"]
    if architecture is not None and architecture.endswith(":."):
        entry["architecture"] = f"{architecture[:-1]}{Path(folder).absolute()}"
    return entry


def check_entry(folder: str | Path, entry: dict[str, Any]) -> None:
    """Refuse a folder whose architecture is a function: a folder may come from anywhere, and must not run code.

    Raises
    ------
    BequeathError
        If the architecture is not a model of one of the known libraries.
    """
    architecture = entry["architecture"]
    if architecture is not None and architecture.partition(":")[0] not in SOURCES:
        raise BequeathError(
            f"{Path(folder) / SERIES}: names the function {architecture!r:.60}, but a data file may not run code; if "
            f'it is yours, write in the study file: {{architecture: "{architecture:.60}", checkpoints: {folder}}}'
        )


def _step(path: Path, where: str) -> int:
    if not path.exists():
        raise BequeathError(f"{where}: no such file: {path}")
    steps: dict[str, int] = {}  # by where they come from
    try:
        file = _state_file(path)
        recorded = _recorded(file)
    except BequeathError as error:
        raise BequeathError(f"{where}: {error}") from error
    if recorded is not None:
        steps[file.name] = recorded
    state = file.parent / TRAINER_STATE
    if state.is_file():
        try:
            steps[TRAINER_STATE] = int(json.loads(state.read_text(encoding="utf-8"))["global_step"])
        except (ValueError, KeyError, TypeError) as error:
            raise BequeathError(f"{where}: {state} has no global_step; repair or remove it") from error
    # A folder's name has no suffix; what looks like one (run-0.5) is part of the name.
    stem = path.name if path.is_dir() else path.stem
    names = [stem, *(() if path.is_dir() else (path.parent.name,))]
    named = [m[1] for name in names if (m := re.search(r"(?:step|checkpoint)s?[-_= ]?(\d+)", name, re.I))]
    if named:
        steps["the name"] = int(named[0])
    if len(set(steps.values())) > 1:
        contradiction = ", ".join(f"{step} in {source}" for source, step in steps.items())
        raise BequeathError(f"{where}: the step of {path} is {contradiction}; rename or repair it")
    if steps:
        return next(iter(steps.values()))
    numbers = next((n for name in names if (n := re.findall(r"\d+", name))), None)
    if numbers is None:
        raise BequeathError(
            f"{where}: no step in {path}: neither its metadata nor its name has one; rename it to step-N"
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
    """The step that a state file records. Of a safetensors file only the header is read."""
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
        read_state(file)  # raises the error for an unknown suffix
        return None
    for key in STEP_KEYS:
        # A bool is an int in Python, but a flag is no step.
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
            header = json.loads(stream.read(length))
        return dict(header.get("__metadata__", {}))
    except (ValueError, struct.error, AttributeError, OSError) as error:
        raise BequeathError(f"{file}: damaged or no safetensors file; save it again") from error
