"""A study file's text: read whole, and refused where what it says is not clear."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bequeath.errors import BequeathError, first_line
from bequeath.printable import is_text

# A study file has some dozens of entries; lists of checkpoints and classes have thousands.
_MOST_BYTES, _MOST_ENTRIES, _MOST_DEPTH = 2**24, 200_000, 50
# Whole numbers beyond this are no longer exact everywhere.
_MOST = 2**53


def read_text(path: Path) -> str:
    """The text of a study file.

    Raises
    ------
    BequeathError
        If there is no such file, or it is none of text.
    """
    try:
        if not path.is_file():
            raise BequeathError(f"study: no such file: {path} (bequeath init writes one)")
        if not is_text(path.resolve()):
            raise BequeathError(
                f"study: {path.resolve()}: the name is not UTF-8; rename the file or its folder"
            )
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise BequeathError(f"{path}: {size:,} bytes; a study file has at most {_MOST_BYTES:,}")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BequeathError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise BequeathError(f"study: {path}: cannot be read ({error.strerror})") from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """What a study file says: a mapping of plain values.

    Raises
    ------
    BequeathError
        If it is no valid YAML, has a key twice, a number that is not finite, or more than a study can have.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        if node is not None:
            _check(node, path)
        raw = yaml.safe_load(text)
    except BequeathError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BequeathError(
            f"{at}: not valid YAML: {getattr(error, 'problem', None) or first_line(error)}"
        ) from None
    except RecursionError:
        raise BequeathError(f"{path}: nested too deep; {_MOST_DEPTH} levels at most") from None
    except Exception as error:  # dates that are none, numbers of thousands of digits, and the like
        raise BequeathError(f"{path}: not valid YAML: {first_line(error)}") from None
    if not isinstance(raw, dict):
        raise BequeathError(f"{path}: a mapping is needed at the top (models:, data:, players:, ...)")
    for place, number in _numbers(raw):
        wrong = _wrong(number)
        if wrong is not None:
            key = ".".join(map(str, place))
            raise BequeathError(f"{path}:{line_of(text, place)}: {key}: {wrong}")
    return raw


def _wrong(number: int | float) -> str | None:
    """What a study cannot do with a number, where there is something."""
    if not math.isfinite(number):
        return f"{number}; give a finite number"
    if isinstance(number, int) and abs(number) > _MOST:
        shown = str(number) if abs(number) < 10**30 else "a number of more than 30 digits"
        return f"{shown}; whole numbers go up to 2**53"
    return None


def line_of(text: str, path: tuple[Any, ...]) -> int | None:
    """Line of a key path in a YAML text, as far as the path exists."""
    node, line = yaml.compose(text, yaml.SafeLoader), None
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


def _check(top: yaml.Node, path: Path) -> None:
    """Refuse keys that are there twice, and aliases that make more of a text than stands in it."""
    sizes: dict[int, int] = {}
    within: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        line = node.start_mark.line + 1
        if id(node) in within:
            raise BequeathError(f"{path}:{line}: an alias of what it stands in; write it out")
        if depth > _MOST_DEPTH:
            raise BequeathError(f"{path}:{line}: nested too deep; {_MOST_DEPTH} levels at most")
        if id(node) in sizes:
            return sizes[id(node)]
        within.add(id(node))
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, path)
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in inner)
        within.discard(id(node))
        return sizes[id(node)]

    entries = size(top, 0)
    if entries > _MOST_ENTRIES:
        raise BequeathError(f"{path}: {entries:,} entries; a study file has at most {_MOST_ENTRIES:,}")


def _check_keys(node: yaml.MappingNode, path: Path) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name, line = (key.tag, key.value), key.start_mark.line + 1
        if name in lines:
            raise BequeathError(
                f"{path}:{line}: {key.value}: given twice, in lines {lines[name]} and {line}; keep one of the two"
            )
        lines[name] = line


def _numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int | float]]:
    """All numbers with their places."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, (*place, index))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield place, value
