"""Data sets of the `datasets` library: its objects, its saved folders, names on its hub."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bequeath.data.hub import open_rows
from bequeath.data.images import DEFAULT, Images, read_image
from bequeath.data.labels import check_labels, choose_classes, read_labels
from bequeath.data.samples import Dataset, Sample
from bequeath.data.tables import Table
from bequeath.errors import BequeathError, few
from bequeath.games.inputs import Modality
from bequeath.models.preprocessing import Preprocessing


def from_datasets(
    dataset: Any,
    *,
    text: str | Sequence[str] | None = None,
    image: str | None = None,
    columns: Sequence[str] | None = None,
    label: str = "label",
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing = DEFAULT,
    split: str | None = None,
    **load: Any,
) -> Dataset:
    """Read a data set of the `datasets` library. Each text or image is read when it is used.

    Exactly one of `text`, `image` and `columns` must be given.

    Parameters
    ----------
    dataset : datasets.Dataset, datasets.DatasetDict, str or Path
        The data set; a folder of its `save_to_disk`; or what `datasets.load_dataset` accepts: a name on the hub, a
        builder such as "csv", or a folder.
    text : str or sequence of str, optional
        Column of the text; several are joined by a space.
    image : str, optional
        Column of the image.
    columns : sequence of str, optional
        Columns of numbers: the features of a table.
    label : str
        Column of the label: a ClassLabel, whose names are used; integers; or names.
    classes : sequence of str, optional
        For a ClassLabel, the classes to use, in the order of the model's outputs. Otherwise the names of all classes,
        as for `TextTable`.
    preprocessing : Preprocessing
        Turns a picture into the model's input.
    split : str, optional
        Which split, if there are several; for `load_dataset`, also a part such as "train[:10%]".
    **load
        Arguments of `load_dataset`, such as name, data_files or revision. Code of a data set is never run: a true
        trust_remote_code is refused.

    Returns
    -------
    Dataset
        Its ids are row numbers.

    Raises
    ------
    BequeathError
        If the data set cannot be loaded, or columns, labels or types do not fit, naming column and row.

    Examples
    --------
    >>> from_datasets("imdb", text="text", split="test")
    >>> from_datasets("csv", data_files="wine.csv", split="train", columns=["acid", "sugar"], label="grade")
    """
    rows, place = open_rows(dataset, split, load)
    if sum(given is not None for given in (text, image, columns)) != 1:
        raise BequeathError(
            f"{place}: give one of text, image and columns; it has {few(rows.column_names, 20)}"
        )
    used = [name for name in (text, image) if isinstance(name, str)]
    used += [] if text is None or isinstance(text, str) else list(text)
    used += list(columns or [])
    if not used:
        raise BequeathError(f"{place}: no columns are given; it has {few(rows.column_names, 20)}")
    for name in (*used, label):
        if name not in rows.column_names:
            raise BequeathError(f"{place}: no column {name!r}; there are {few(rows.column_names, 20)}")
    names, kept, labels = _labels(rows, place, label, classes)
    if len(kept) < len(rows):
        rows = rows.select(kept)
    rows = rows.select_columns(used)
    ids = [str(i) for i in kept]
    noun = "images" if image is not None else "rows" if columns is not None else "texts"
    source = f"{len(kept)} {noun} of {len(names)} classes in {place}"
    if image is not None:
        return _ImageRows(_undecoded(rows, place, image), ids, labels, names, preprocessing, source, place)
    if columns is not None:
        return Table(_numbers(rows, place, used), labels, names, used, source, ids=ids)
    return _TextRows(rows, used, ids, labels, names, source, place)


class _ImageRows(Images):
    """Images of a datasets.Dataset whose only column holds them undecoded."""

    def __init__(
        self,
        rows: Any,
        ids: list[str],
        labels: list[int],
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        source: str,
        place: str,
    ) -> None:
        super().__init__(ids, labels, classes, preprocessing, source)
        self._rows = rows
        self._place = place

    def open(self, i: int) -> Image.Image:
        """The picture of row i, upright, in RGB."""
        place = f"{self._place}, row {self.ids[i]}"
        (value,) = self._rows[i].values()
        if value is None or (value["bytes"] is None and value["path"] is None):
            raise BequeathError(f"{place}: has no image; remove the row")
        return read_image(place, Path(value["path"]) if value["bytes"] is None else BytesIO(value["bytes"]))


class _TextRows:
    """Texts of a datasets.Dataset."""

    modality: Modality = "text"

    def __init__(
        self,
        rows: Any,
        columns: list[str],
        ids: list[str],
        labels: list[int],
        classes: tuple[str, ...],
        source: str,
        place: str,
    ) -> None:
        self._rows, self._columns, self.ids, self._place = rows, columns, ids, place
        self.labels = tuple(labels)
        self.classes = classes
        self.source = source

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Sample:
        """Sample i.

        Raises
        ------
        BequeathError
            If its text is empty, or is no string.
        """
        place = f"{self._place}, row {self.ids[i]}"
        row = self._rows[i]
        parts = [row[column] for column in self._columns]
        for column, part in zip(self._columns, parts, strict=True):
            if part is not None and not isinstance(part, str):
                raise BequeathError(f"{place}: {column!r} is a {type(part).__name__}; give a column of texts")
        text = " ".join(part.strip() for part in parts if part and part.strip())
        if not text:
            raise BequeathError(f"{place}: the text is empty; remove the row")
        return Sample(self.ids[i], text, self.labels[i], None)


def _labels(
    rows: Any, place: str, label: str, classes: Sequence[str] | None
) -> tuple[tuple[str, ...], list[int], list[int]]:
    """Class names, the rows that have one of them, and their labels."""
    import datasets

    feature = rows.features[label]
    raw = list(rows.select_columns([label])[:][label])
    absent = [i for i, value in enumerate(raw) if value is None or value == ""]
    if isinstance(feature, datasets.ClassLabel):
        # -1 is the library's mark for an unpublished label.
        absent = [i for i, value in enumerate(raw) if value is None or value == -1]
    if absent:
        raise BequeathError(
            f"{place}, row {absent[0]}: has no {label}; use another split or remove the rows without one"
        )
    if isinstance(feature, datasets.ClassLabel):
        check_labels(place, "row", len(raw), raw, feature.names)
        return choose_classes(place, feature.names, raw, classes)
    for i, value in enumerate(raw):
        if not isinstance(value, (str, int, float)):
            raise BequeathError(
                f"{place}, row {i}: {label} is a {type(value).__name__}; give a column of numbers or names"
            )
    written = [str(value).strip() for value in raw]
    given = None if classes is None else [str(name) for name in classes]
    names, labels = read_labels(place, written, lambda i: f"{place}, row {i}", given)
    return names, list(range(len(raw))), list(labels)


def _undecoded(rows: Any, place: str, image: str) -> Any:
    """The rows with images as bytes or paths, so that `read_image` decodes them as it does for other sources."""
    import datasets

    try:
        return rows.cast_column(image, datasets.Image(decode=False))
    except (ValueError, TypeError, NotImplementedError) as error:
        raise BequeathError(
            f"{place}: {image!r} is a {type(rows.features[image]).__name__}, not images; cast it to datasets.Image"
        ) from error


def _numbers(rows: Any, place: str, columns: list[str]) -> Any:
    values = np.empty((len(rows), len(columns)))
    content = rows[:]
    for k, column in enumerate(columns):
        for i, value in enumerate(content[column]):
            if isinstance(value, str) or not np.isscalar(value):
                raise BequeathError(
                    f"{place}, row {i}: {column!r} is {value!r}, not a number; encode it as numbers or leave it out"
                )
            values[i, k] = value
    return values
