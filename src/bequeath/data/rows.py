"""Rows of a CSV, TSV or JSON lines file."""

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
    """The rows of a file.

    Attributes
    ----------
    path : Path
    names : list of str or None
        Column names; None for a file without a header.
    lines : list of int
        The line on which each row begins, counted from 1.
    cells : list of lists
        Strings. In JSON lines they are any values; None if a row lacks the key.
    """

    path: Path
    names: list[str] | None
    lines: list[int]
    cells: list[list[Any]]

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, i: int) -> str:
        """The place of row i, for errors."""
        return f"table {self.path}, line {self.lines[i]}"

    def ids(self) -> list[str]:
        """A unique name per row: the file's name and the line."""
        return [f"{self.path.name}:{line}" for line in self.lines]

    def position(self, column: Column) -> int:
        """The index of a column.

        Raises
        ------
        BequeathError
            If there is no such column.
        """
        if isinstance(column, int):
            if self.path.suffix.lower() in JSON_LINES:
                raise BequeathError(
                    f"table {self.path}: column {column} is a number, but JSON lines have keys; give one of them"
                )
            width = len(self.cells[0])
            if not 0 <= column < width:
                raise BequeathError(
                    f"table {self.path}: no column {column}; there are columns 0..{width - 1}"
                )
            return column
        assert self.names is not None  # `read_rows` reads a header if a column is given by name
        if column not in self.names:
            known = few([repr(name) for name in self.names], 20)
            raise BequeathError(f"table {self.path}, line 1: no column {column!r}; there are {known}")
        return self.names.index(column)

    def name(self, position: int) -> str:
        """A column's name, or its number."""
        return str(position) if self.names is None else self.names[position]

    def cell(self, i: int, position: int) -> str:
        """One cell as text, without surrounding white space.

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

    If a column is given by name, the first line is the header. If all are given by number, counted from 0, it is a
    row.

    Parameters
    ----------
    path : str or Path
        UTF-8 file; .jsonl, .ndjson and .json hold one JSON object per line.
    columns : sequence of str or int
        Columns that the caller will read.
    delimiter : str, optional
        By default a tab if the file's name ends in .tsv or .tab, or if it does not end in .csv and the first line has
        a tab; else a comma.
    quoted : bool, optional
        Whether quotation marks around a field are markup; by default yes, except in tab-separated files.

    Returns
    -------
    Rows

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
        problem = "is a folder, not a file" if path.exists() else "does not exist"
        raise BequeathError(f"table {path}: {problem}; give a CSV, TSV or JSON lines file")
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
    """The line on which each row begins, and its cells; blank rows are left out."""
    if len(delimiter) != 1:
        raise BequeathError(
            f'table {path}: delimiter {delimiter!r}; give one character, such as "," or a tab'
        )
    # Split at line ends only: str.splitlines would also split at characters such as U+2028 inside a text.
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
        raise BequeathError(
            f"table {path}, line {line}: {error}; check the options delimiter and quoted"
        ) from error
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
                f"table {path}, line {line}: not JSON ({reason}); write one object per line"
            ) from error
        if not isinstance(value, dict):
            raise BequeathError(
                f"table {path}, line {line}: a JSON {type(value).__name__}, not an object; write one object per line"
            )
        lines.append(line)
        objects.append(value)
        for name in value:
            names.setdefault(name, len(names))
    if not objects:
        raise BequeathError(f"table {path}: the file is empty; give one with samples")
    return Rows(path, list(names), lines, [[row.get(name) for name in names] for row in objects])
