"""Rows of a file: CSV, TSV, or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError, few

Column = str | int

JSON_LINES = frozenset({".json", ".jsonl", ".ndjson"})


@dataclass(frozen=True)
class Rows:
    """What a file holds, row by row.

    Attributes
    ----------
    path : Path
    names : list of str or None
        Column names; None for a file without a header.
    lines : list of int
        The line that each row begins on, from 1.
    cells : list of lists
        Strings; for JSON lines any value, None where a row lacks the key.
    """

    path: Path
    names: list[str] | None
    lines: list[int]
    cells: list[list[Any]]

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, i: int) -> str:
        """Row i, for errors."""
        return f"table {self.path}, line {self.lines[i]}"

    def ids(self) -> list[str]:
        """A unique name per row: the file's name and the line."""
        return [f"{self.path.name}:{line}" for line in self.lines]

    def position(self, column: Column) -> int:
        """Where a column stands.

        Raises
        ------
        BequeathError
            If there is no such column.
        """
        if isinstance(column, int):
            if self.path.suffix.lower() in JSON_LINES:
                raise BequeathError(
                    f"table {self.path}: column {column}; JSON lines have keys, give one of them"
                )
            width = len(self.cells[0])
            if not 0 <= column < width:
                raise BequeathError(
                    f"table {self.path}: no column {column}; columns 0..{width - 1} are there"
                )
            return column
        assert self.names is not None  # a column given by name is what makes the first line a header
        if column not in self.names:
            there = few([repr(name) for name in self.names], 20)
            raise BequeathError(f"table {self.path}, line 1: no column {column!r}; there are {there}")
        return self.names.index(column)

    def name(self, position: int) -> str:
        """A column's name, or its number."""
        return str(position) if self.names is None else self.names[position]

    def cell(self, i: int, position: int) -> str:
        """One cell as text, without the white space around it.

        Raises
        ------
        BequeathError
            If it is a JSON list or object.
        """
        value = self.cells[i][position]
        if value is None:
            return ""
        if isinstance(value, (dict, list)):
            raise BequeathError(
                f"{self.where(i)}: {self.name(position)!r} is a JSON {'object' if isinstance(value, dict) else 'list'}"
                "; give a key with a text or a number"
            )
        return value.strip() if isinstance(value, str) else json.dumps(value)


def read_rows(
    path: str | Path, columns: Sequence[Column], delimiter: str | None = None, quoted: bool | None = None
) -> Rows:
    """Read a table.

    Columns given by name make the first line the header; columns given by 0-based number alone, a row.

    Parameters
    ----------
    path : str or Path
        UTF-8 file; .jsonl, .ndjson and .json hold one JSON object a line.
    columns : sequence of str or int
        Columns that will be asked for.
    delimiter : str, optional
        By default a tab where the name ends in .tsv or .tab (or, other than .csv, the first line has one), else a
        comma.
    quoted : bool, optional
        Whether quotation marks around a field are markup; by default yes, except in tab-separated files.

    Raises
    ------
    BequeathError
        If the file is missing, empty, not UTF-8 or not rectangular, naming the line.
    """
    path = Path(path)
    content = _decoded(path)
    if path.suffix.lower() in JSON_LINES:
        return _json_lines(path, content)
    if delimiter is None:
        delimiter = _delimiter(path, content)
    lines, cells = _split(path, content, delimiter, delimiter != "\t" if quoted is None else quoted)
    names: list[str] | None = None
    if any(isinstance(column, str) for column in columns):
        names = [name.strip() for name in cells.pop(0)]
        lines.pop(0)
        if not cells:
            raise BequeathError(f"table {path}: only a header, no rows; give a file with samples")
    width = len(cells[0]) if names is None else len(names)
    for line, row in zip(lines, cells, strict=True):
        if len(row) != width:
            raise BequeathError(
                f"table {path}, line {line}: {len(row)} columns where {width} are "
                "expected; check the delimiter and the quotation marks"
            )
    return Rows(path, names, lines, cells)


def _decoded(path: Path) -> str:
    if not path.is_file():
        what = "is a folder, not a file" if path.exists() else "does not exist"
        raise BequeathError(f"table {path}: {what}; give a CSV, TSV or JSON lines file")
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BequeathError(
            f"table {path}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; convert the file (iconv "
            "-f latin1 -t utf-8)"
        ) from error


def _delimiter(path: Path, content: str) -> str:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return ","
    return "\t" if suffix in (".tsv", ".tab") or "\t" in content.split("\n", 1)[0] else ","


def _split(path: Path, content: str, delimiter: str, quoted: bool) -> tuple[list[int], list[list[str]]]:
    """Rows that are not blank, and the line that each begins on."""
    if len(delimiter) != 1:
        raise BequeathError(
            f'table {path}: delimiter {delimiter!r}; give one character, such as "," or a tab'
        )
    # Split at line ends only: str.splitlines would also cut at characters such as U+2028 inside a text.
    text = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reader = csv.reader(
        (line + "\n" for line in text),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    lines: list[int] = []
    rows: list[list[str]] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append(line)
                rows.append(cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise BequeathError(f"table {path}, line {line}: {error}; check delimiter and quoted") from error
    if not rows:
        raise BequeathError(f"table {path}: the file is empty; give one with samples")
    return lines, rows


def _json_lines(path: Path, content: str) -> Rows:
    names: dict[str, int] = {}
    lines: list[int] = []
    objects: list[dict[str, Any]] = []
    for line, text in enumerate(content.split("\n"), 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise BequeathError(
                f"table {path}, line {line}: not JSON ({reason}); write one object a line"
            ) from error
        if not isinstance(value, dict):
            raise BequeathError(
                f"table {path}, line {line}: a JSON {type(value).__name__}, not an object; write one object a line"
            )
        lines.append(line)
        objects.append(value)
        for name in value:
            names.setdefault(name, len(names))
    if not objects:
        raise BequeathError(f"table {path}: the file is empty; give one with samples")
    return Rows(path, list(names), lines, [[row.get(name) for name in names] for row in objects])
