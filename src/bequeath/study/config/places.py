"""Keys of a study file: parts of an error's place that are no keys, and paths made absolute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bequeath.models.hub import hub_entry


def is_type(part: str | int) -> bool:
    """Whether a part of an error's place is a type that pydantic tried, not a key of the file."""
    return isinstance(part, str) and (
        "[" in part or ":" in part or part.endswith("Config") or part in ("str", "int", "float")
    )


def absolute(value: Any, base: Path, key: str = "") -> Any:
    """Make the paths in a study file absolute.

    Parameters
    ----------
    value
        A part of the file. Values under `options` stay as they are, since only the user's function knows them.
    base : Path
        Folder of the file.
    key : str
        Key of the part.
    """
    if key == "options":
        return value
    if isinstance(value, dict):
        # A model that is a string is a folder of checkpoints.
        inside = "checkpoints" if key == "models" else None
        return {
            name: absolute(item, base, inside if inside and isinstance(item, str) else name)
            for name, item in value.items()
        }
    if key in ("weights", "base", "path", "train", "tokenizer", "checkpoints"):
        if isinstance(value, str):
            return value if key in ("weights", "base") and hub_entry(value) is not None else str(base / value)
        if isinstance(value, list):
            return [str(base / item) if isinstance(item, str) else item for item in value]
    if key == "architecture" and isinstance(value, str) and value.startswith("transformers"):
        source, _, name = value.partition(":")
        return f"{source}:{base / name}" if (base / name).is_dir() else value
    if key == "dataset" and isinstance(value, str) and (base / value).is_dir():
        return str(base / value)
    return value
