"""Where a key stands in a study file, and what paths in one are relative to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bequeath.models.hub import hub_entry


def line_of(text: str, path: tuple[Any, ...]) -> int | None:
    """Line of a key path in a YAML text, as far as the path exists."""
    node, line = yaml.compose(text), None
    for part in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def is_type(part: str | int) -> bool:
    """Whether a part of an error's place is the type that was tried there, not a key."""
    return isinstance(part, str) and (
        "[" in part or ":" in part or part.endswith("Config") or part in ("str", "int", "float")
    )


def absolute(value: Any, base: Path, key: str = "") -> Any:
    """Paths in a study file are relative to the file; what options hold is their functions' own."""
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
