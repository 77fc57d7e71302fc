"""Tables of numbers, with one label per row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bequeath.data.labels import check_labels, read_labels
from bequeath.data.rows import Column, read_rows
from bequeath.data.samples import Sample
from bequeath.errors import BequeathError, few
from bequeath.games.inputs import Modality


class Table:
    """Rows of numbers, each with a label.

    Parameters
    ----------
    values : ndarray
        Numbers, shape (samples, features), all finite.
    labels : sequence of int
        One index into `classes` per row.
    classes : sequence of str
        Names, in the order of the model's outputs.
    columns : sequence of str, optional
        Names of the features; by default their numbers.
    source : str
        Where the rows come from, for reports and errors.
    standardise : Table, optional
        Training data: the mean of each of its columns is subtracted, and the difference is divided by the column's
        standard deviation (population; a constant column is only shifted). Both are taken from its `values`, even if
        that table is standardised itself.
    ids : sequence of str, optional
        Unique names of the rows; by default their numbers.

    Attributes
    ----------
    values : ndarray
        float64, shape (samples, features), as given.
    columns : tuple of str

    Raises
    ------
    BequeathError
        If shapes, labels or columns do not fit together, or a value is not finite, naming row and column.

    Examples
    --------
    >>> train = Table(np.array([[1.0, 20.0], [3.0, 40.0]]), [0, 1], ["bad", "good"], ["acid", "sugar"])
    >>> train.standardised(train)[0].x
    tensor([-1., -1.])
    """

    modality: Modality = "table"

    def __init__(
        self,
        values: NDArray[Any],
        labels: Sequence[int] | NDArray[Any],
        classes: Sequence[str],
        columns: Sequence[str] | None = None,
        source: str = "table",
        standardise: Table | None = None,
        ids: Sequence[str] | None = None,
    ) -> None:
        values = np.asarray(values)
        if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
            raise BequeathError(
                f"{source}: values must be numbers of shape (samples, features), not {values.dtype} {values.shape}"
            )
        self.values: NDArray[np.float64] = values.astype(np.float64)
        self.labels = check_labels(source, "row", len(values), labels, classes)
        self.classes = tuple(classes)
        self.columns = tuple(str(k) for k in range(values.shape[1])) if columns is None else tuple(columns)
        if len(set(self.columns)) != values.shape[1] or len(self.columns) != values.shape[1]:
            raise BequeathError(
                f"{source}: {values.shape[1]} features need as many different column names, not {few(self.columns)}"
            )
        self.ids = [str(i) for i in range(len(values))] if ids is None else list(ids)
        if len(set(self.ids)) != len(values) or len(self.ids) != len(values):
            raise BequeathError(f"{source}: {len(values)} rows need as many different ids")
        self.source = source
        self._check_finite(self.values)
        # A value too large for float32 becomes infinite, and is refused below.
        with np.errstate(over="ignore"):
            self._x = self._scaled(standardise).astype(np.float32)
        self._check_finite(self._x)

    def _scaled(self, training: Table | None) -> NDArray[np.float64]:
        if training is None:
            return self.values
        if training.columns != self.columns:
            raise BequeathError(
                f"{self.source}: has the columns {few(self.columns)}, but the table to standardise by has "
                f"{few(training.columns)}; give both the same columns"
            )
        spread = training.values.std(axis=0)
        # Because of rounding, a constant column may have a tiny standard deviation that is not 0.
        constant = np.ptp(training.values, axis=0) == 0
        scaled: NDArray[np.float64] = (self.values - training.values.mean(axis=0)) / np.where(
            constant, 1.0, spread
        )
        return scaled

    def _check_finite(self, values: NDArray[Any]) -> None:
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            raise BequeathError(
                f"{self.source}: column {self.columns[column]!r} of row {self.ids[row]} is "
                f"{self.values[row, column]}, not a finite number in float32; fill it in or leave the row out"
            )

    def rows(self, indices: Sequence[int]) -> Table:
        """Some of the rows as a new table that is not standardised."""
        labels, ids = [self.labels[i] for i in indices], [self.ids[i] for i in indices]
        source = f"{len(ids)} of {self.source}"
        return Table(self.values[list(indices)], labels, self.classes, self.columns, source, None, ids)

    def standardised(self, training: Table) -> Table:
        """The same rows, standardised by the training data; these may be this table itself."""
        return Table(self.values, self.labels, self.classes, self.columns, self.source, training, self.ids)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Sample:
        """Sample i: float32, shape (features,)."""
        return Sample(self.ids[i], torch.tensor(self._x[i]), self.labels[i], None)


def read_table(
    path: str | Path,
    label: Column,
    columns: Sequence[Column] | None = None,
    classes: Sequence[str] | None = None,
    delimiter: str | None = None,
    first_label: int | None = None,
    standardise: Table | None = None,
) -> Table:
    """Read a table of numbers from a CSV, TSV or JSON lines file.

    Parameters
    ----------
    path : str or Path
        UTF-8 file with one sample per row.
    label : str or int
        Column of the label. As for `TextTable`, a name means that the first line is the header.
    columns : sequence of str or int, optional
        Columns of the features, in the order of the model's inputs; by default all but the label.
    classes, delimiter, first_label
        As for `TextTable`.
    standardise : Table, optional
        Training data whose columns' mean and standard deviation are used, as for `Table`.

    Returns
    -------
    Table
        Its ids are the file's name and line.

    Raises
    ------
    BequeathError
        If the file, a column or a label does not fit, or a cell is no finite number, naming line and column.

    Examples
    --------
    >>> train = read_table("train.csv", label="grade")
    >>> held_out = read_table("val.csv", label="grade", classes=train.classes, standardise=train)
    """
    rows = read_rows(path, [label, *(columns or [])], delimiter)
    label_position = rows.position(label)
    if columns is None:
        positions = [k for k in range(len(rows.cells[0])) if k != label_position]
    else:
        positions = [rows.position(column) for column in columns]
        if label_position in positions:
            raise BequeathError(f"table {path}: column {label!r} is the label; leave it out of columns")
    if not positions:
        raise BequeathError(f"table {path}: no columns beside the label; give the features' columns")
    values = np.empty((len(rows), len(positions)))
    for i in range(len(rows)):
        for k, position in enumerate(positions):
            place = f"{rows.where(i)}, column {rows.name(position)!r}"
            values[i, k] = _number(place, rows.cell(i, position))
    raw = [rows.cell(i, label_position) for i in range(len(rows))]
    named = None if classes is None else [str(name) for name in classes]
    names, labels = read_labels(f"table {path}", raw, rows.where, named, first_label)
    source = f"{len(rows)} rows of {len(names)} classes in {path}"
    return Table(values, labels, names, [rows.name(k) for k in positions], source, standardise, rows.ids())


def _number(place: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        if cell:
            problem = f"{cell!r} is no number"
            remedy = "encode categories as numbers (one 0/1 column per value, as pandas.get_dummies does)"
        else:
            problem, remedy = "the cell is empty", "fill it in"
        raise BequeathError(
            f"{place}: {problem}; {remedy}, or list the other columns under columns"
        ) from None
    if not math.isfinite(value):
        raise BequeathError(f"{place}: {cell} is not finite; fill it in or remove the row")
    return value
