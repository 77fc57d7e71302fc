"""Labelled texts, from a table (CSV, TSV, JSON lines) or a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bequeath.data.labels import check_labels, read_labels
from bequeath.data.rows import Column, Rows, read_rows
from bequeath.data.samples import Sample
from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality


class TextTable:
    """Labelled texts in a CSV, TSV or JSON lines file, which is read at once.

    If a column is given by name, the first line is the header. If all are given by number, counted from 0, it is a
    sample. In JSON lines (.jsonl, .ndjson, .json: one object per line) columns are keys.

    Labels are class names or integers. Integers count from 0 if a 0 occurs, and from 1 if none occurs and the greatest
    is the number of `classes`. In any other case `first_label` must be given.

    Parameters
    ----------
    path : str or Path
        UTF-8 file with one sample per row.
    text : str, int, or a list of them
        Column(s) of the text; several are joined by a space.
    label : str or int
        Column of the label.
    classes : sequence of str, optional
        Class names in the order of the model's outputs. By default the integers up to the greatest, or the
        distinct names in the file, sorted.
    delimiter : str, optional
        By default a tab if the file's name ends in .tsv or .tab, or if it does not end in .csv and the first line has
        a tab; else a comma.
    quoted : bool, optional
        Whether quotation marks around a field are markup. By default yes, except in tab-separated files: in those of
        GLUE, for example, a single quotation mark would join all lines up to the next one.
    first_label : int, optional
        The integer that means the first class.

    Raises
    ------
    BequeathError
        If the file, a column, a label, a text or the encoding does not fit, naming file and line.

    Examples
    --------
    >>> TextTable("sst2/dev.tsv", text=0, label=1, classes=["negative", "positive"])
    >>> TextTable("reviews.csv", text="review", label="stars", first_label=1)
    >>> TextTable("questions.jsonl", text=["title", "body"], label="topic")
    """

    modality: Modality = "text"

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
        text_columns = [text] if isinstance(text, (str, int)) else list(text)
        if not text_columns:
            raise BequeathError(f"table {self.path}: text names no column; give one or a list")
        rows = read_rows(self.path, [*text_columns, label], delimiter, quoted)
        columns = [rows.position(column) for column in text_columns]
        label_column = rows.position(label)
        self.ids = rows.ids()
        self.texts = tuple(_text(rows, i, columns) for i in range(len(rows)))
        raw = [rows.cell(i, label_column) for i in range(len(rows))]
        named = None if classes is None else [str(name) for name in classes]
        self.classes, self.labels = read_labels(f"table {self.path}", raw, rows.where, named, first_label)
        self.source = f"{len(self)} texts of {len(self.classes)} classes in {self.path}"

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> Sample:
        """Sample i. Its id is the file's name and the line."""
        return Sample(self.ids[i], self.texts[i], self.labels[i], None)


class TextList:
    """Labelled texts in memory.

    Parameters
    ----------
    texts : sequence of str
        Must not be empty strings.
    labels, classes, source
        As for `bequeath.data.Images`.

    Raises
    ------
    BequeathError
        If texts and labels do not fit together, naming the first text or label that is wrong.

    Examples
    --------
    >>> TextList(["a fine film", "a dull film"], [1, 0], ["negative", "positive"])[0].label
    1
    """

    modality: Modality = "text"

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[int] | NDArray[Any],
        classes: Sequence[str],
        source: str = "text list",
    ) -> None:
        if isinstance(texts, str):
            raise BequeathError(f"{source}: texts is one string; give a list of them")
        for i, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise BequeathError(f"{source}: text {i} is {text!r}; give a string that is not empty")
        self.texts = tuple(texts)
        self.ids = [str(i) for i in range(len(self.texts))]
        self.labels = check_labels(source, "text", len(self.texts), labels, classes)
        self.classes = tuple(classes)
        self.source = source

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> Sample:
        """Sample i. Its id is the index."""
        return Sample(self.ids[i], self.texts[i], self.labels[i], None)


def _text(rows: Rows, i: int, columns: list[int]) -> str:
    parts = [rows.cell(i, column) for column in columns]
    text = " ".join(part for part in parts if part)
    if not text:
        raise BequeathError(f"{rows.where(i)}: the text is empty; fill it in or remove the row")
    return text
