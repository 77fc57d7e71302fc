"""Texts: a table (CSV, TSV) with a column of labels and one or more of text."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bequeath.data.samples import Sample
from bequeath.errors import BequeathError
from bequeath.games.inputs import Kind

Column = str | int


@dataclass(frozen=True)
class _Row:
    line: int
    cells: list[str]


class TextTable:
    """Labelled texts in a CSV or TSV file, read at once.

    Columns given by name make the first line the header; columns given by 0-based number alone, a sample.

    Labels are class names or integers. Integers count from 0 or from 1: from 0 where a 0 occurs, from 1 where
    none does and the greatest is the number of `classes`; for anything else, `first_label` must say it.

    Parameters
    ----------
    path : str or Path
        UTF-8 file with one sample a row.
    text : str, int, or a list of them
        Column(s) of the text; several are joined by a space.
    label : str or int
        Column of the label.
    classes : sequence of str, optional
        Class names in the order of the model's outputs. By default the integers up to the greatest, or the
        distinct names in the file, sorted.
    delimiter : str, optional
        By default a tab where the name ends in .tsv or .tab (or, other than .csv, the first line has one),
        else a comma.
    quoted : bool, optional
        Whether quotation marks around a field are markup. By default yes, except in tab-separated files:
        in those of GLUE and its like a lone quotation mark would swallow the lines up to the next one.
    first_label : int, optional
        The integer that means the first class.

    Raises
    ------
    BequeathError
        If the file, a column, a label, a text or the encoding does not fit, naming file and line.

    Examples
    --------
    >>> TextTable("sst2/dev.tsv", text=0, label=1, classes=["negative", "positive"])
    >>> TextTable("ag_news/test.csv", text=[1, 2], label=0, classes=["World", "Sports", "Business", "Tech"])
    >>> TextTable("reviews.csv", text="review", label="stars", first_label=1)
    """

    kind: Kind = "text"

    def __init__(
        self,
        path: str | Path,
        text: Column | Sequence[Column],
        label: Column,
        classes: Sequence[str] | None = None,
        delimiter: str | None = None,
        quoted: bool | None = None,
        first_label: int | None = None,
    ) -> None:
        self.path = Path(path)
        content = _decoded(self.path)
        if delimiter is None:
            delimiter = _delimiter(self.path, content)
        rows = _rows(self.path, content, delimiter, delimiter != "\t" if quoted is None else quoted)
        text_columns = [text] if isinstance(text, (str, int)) else list(text)
        if not text_columns:
            raise BequeathError(f"table {self.path}: text names no column; give one or a list")
        names: list[str] | None = None
        if any(isinstance(column, str) for column in (*text_columns, label)):
            names = [name.strip() for name in rows.pop(0).cells]
            if not rows:
                raise BequeathError(f"table {self.path}: only a header, no rows; give a file with samples")
        width = len(rows[0].cells) if names is None else len(names)
        columns = [_column(self.path, column, names, width) for column in text_columns]
        label_column = _column(self.path, label, names, width)
        for row in rows:
            if len(row.cells) != width:
                raise BequeathError(
                    f"table {self.path}, line {row.line}: {len(row.cells)} columns where {width} are "
                    "expected; check the delimiter and the quotation marks"
                )
        self._lines = [row.line for row in rows]
        self.texts = tuple(_text(self.path, row, columns) for row in rows)
        raw = [row.cells[label_column].strip() for row in rows]
        named = None if classes is None else [str(name) for name in classes]
        self.classes, self.labels = _labels(self.path, raw, self._lines, named, first_label)
        self.source = f"{len(self)} texts of {len(self.classes)} classes in {self.path}"

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> Sample:
        """Sample i; its id is the file's name and line."""
        return Sample(f"{self.path.name}:{self._lines[i]}", self.texts[i], self.labels[i], None)


def _decoded(path: Path) -> str:
    if not path.is_file():
        what = "is a folder, not a file" if path.exists() else "does not exist"
        raise BequeathError(f"table {path}: {what}; give a CSV or TSV file")
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


def _rows(path: Path, content: str, delimiter: str, quoted: bool) -> list[_Row]:
    """Rows that are not blank, each with the line it begins on."""
    if len(delimiter) != 1:
        raise BequeathError(
            f'table {path}: delimiter {delimiter!r}; give one character, such as "," or a tab'
        )
    # Split at line ends only: str.splitlines would also cut at characters such as U+2028 inside a text.
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    rows = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_Row(line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise BequeathError(f"table {path}, line {line}: {error}; check delimiter and quoted") from error
    if not rows:
        raise BequeathError(f"table {path}: the file is empty; give one with samples")
    return rows


def _column(path: Path, column: Column, names: list[str] | None, width: int) -> int:
    if isinstance(column, int):
        if not 0 <= column < width:
            raise BequeathError(f"table {path}: no column {column}; columns 0..{width - 1} are there")
        return column
    assert names is not None  # a column given by name is what makes the first line a header
    if column not in names:
        there = ", ".join(repr(name) for name in names[:20])
        raise BequeathError(f"table {path}, line 1: no column {column!r}; there are {there}")
    return names.index(column)


def _text(path: Path, row: _Row, columns: list[int]) -> str:
    parts = [row.cells[column].strip() for column in columns]
    text = " ".join(part for part in parts if part)
    if not text:
        raise BequeathError(f"table {path}, line {row.line}: the text is empty; fill it in or remove the row")
    return text


def _labels(
    path: Path, raw: list[str], lines: list[int], classes: Sequence[str] | None, first_label: int | None
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names, and one index into them per row."""
    if "" in raw:
        raise BequeathError(f"table {path}, line {lines[raw.index('')]}: the label is empty; fill it in")
    if classes is None and not _is_integer(raw[0]):
        if all(_is_integer(label) for label in raw[1:]) and len(raw) > 1:
            raise BequeathError(
                f"table {path}, line {lines[0]}: label {raw[0]!r} is no integer, unlike all others; if this "
                "line is a header, give the columns by name"
            )
        classes = sorted(set(raw))
    if classes is not None and raw[0] in classes:
        for label, line in zip(raw, lines, strict=True):
            if label not in classes:
                raise BequeathError(f"table {path}, line {line}: label {label!r} is none of {_few(classes)}")
        index = {name: i for i, name in enumerate(classes)}
        return tuple(classes), tuple(index[label] for label in raw)
    for label, line in zip(raw, lines, strict=True):
        if not _is_integer(label):
            known = "" if classes is None else f" and none of {_few(classes)}"
            raise BequeathError(f"table {path}, line {line}: label {label!r} is no integer{known}")
    numbers = [int(label) for label in raw]
    first = (
        _first_label(path, numbers, None if classes is None else len(classes))
        if first_label is None
        else first_label
    )
    names = tuple(classes) if classes is not None else tuple(str(k) for k in range(first, max(numbers) + 1))
    for number, line in zip(numbers, lines, strict=True):
        if not first <= number < first + len(names):
            raise BequeathError(
                f"table {path}, line {line}: label {number} is not in {first}..{first + len(names) - 1} "
                f"({len(names)} classes, counted from {first})"
            )
    return names, tuple(number - first for number in numbers)


def _first_label(path: Path, numbers: list[int], n_classes: int | None) -> int:
    least, greatest = min(numbers), max(numbers)
    if least == 0:
        return 0
    if least == 1 and (n_classes is None or greatest == n_classes):
        return 1
    there = "" if n_classes is None else f" for {n_classes} classes"
    raise BequeathError(
        f"table {path}: labels {least}..{greatest}{there} leave open which one is the first class; give "
        "first_label"
    )


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _few(names: Sequence[str], most: int = 20) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more
