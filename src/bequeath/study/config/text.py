"""Reads the text of a study file, and refuses YAML that is ambiguous or excessive."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bequeath.errors import BequeathError, first_line
from bequeath.printable import is_text

# A study file has dozens of entries, or thousands with lists of checkpoints and classes.
_MOST_BYTES, _MOST_ENTRIES, _MOST_DEPTH = 2**24, 200_000, 50
# Larger whole numbers are not exact as floats.
_MOST = 2**53


def read_text(path: Path) -> str:
    """Read the text of a study file.

    Raises
    ------
    BequeathError
        If there is no such file, or it is not a text file.
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
            raise BequeathError(
                f"{path}: {size:,} bytes, but a study file has at most {_MOST_BYTES:,}; is it a study file?"
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BequeathError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise BequeathError(
            f"study: {path}: cannot be read ({error.strerror}); check its permissions"
        ) from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """Parse the YAML of a study file into a dict of plain values.

    Raises
    ------
    BequeathError
        If it is no valid YAML, has a key twice, holds a number that is not finite, or is larger than a study can be.
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
        raise BequeathError(f"{path}: nested too deeply; use at most {_MOST_DEPTH} levels") from None
    except Exception as error:  # impossible dates, numbers with thousands of digits, and the like
        raise BequeathError(f"{path}: not valid YAML: {first_line(error)}") from None
    if not isinstance(raw, dict):
        raise BequeathError(
            f"{path}: holds no keys at its top level; a study file has models:, data:, players:, ..."
        )
    for place, number in _numbers(raw):
        problem = _problem(number)
        if problem is not None:
            key = ".".join(map(str, place))
            raise BequeathError(f"{path}:{line_of(text, place)}: {key}: {problem}")
    return raw


def _problem(number: int | float) -> str | None:
    """Why a number cannot be used; None if it can."""
    if not math.isfinite(number):
        return f"{number}; give a finite number"
    if isinstance(number, int) and abs(number) > _MOST:
        shown = str(number) if abs(number) < 10**30 else "a number of more than 30 digits"
        return f"{shown}; give a whole number up to 2**53"
    return None


def line_of(text: str, path: tuple[Any, ...]) -> int | None:
    """The line of a key path in a YAML text, or of the deepest part of the path that exists."""
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
    """Refuse duplicate keys, and aliases that contain themselves or expand to too many entries."""
    sizes: dict[int, int] = {}
    within: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        line = node.start_mark.line + 1
        if id(node) in within:
            raise BequeathError(f"{path}:{line}: an alias that contains itself; write the values out")
        if depth > _MOST_DEPTH:
            raise BequeathError(f"{path}:{line}: nested too deeply; use at most {_MOST_DEPTH} levels")
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
        raise BequeathError(
            f"{path}: {entries:,} entries, but a study file has at most {_MOST_ENTRIES:,}; name checkpoints by a glob"
        )


def _check_keys(node: yaml.MappingNode, path: Path) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name, line = (key.tag, key.value), key.start_mark.line + 1
        if name in lines:
            raise BequeathError(
                f"{path}:{line}: {key.value}: given twice, in lines {lines[name]} and {line}; keep one of them"
            )
        lines[name] = line


def _numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int | float]]:
    """All numbers with their key paths."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, (*place, index))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield place, value
