"""Data in one word of the command line: a folder, a file, or KIND:FOLDER."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from bequeath.data.rows import JSON_LINES, Column, read_rows
from bequeath.errors import BequeathError, few
from bequeath.study.config.data import PublishedImagesConfig, PublishedTextsConfig

_HELD_OUT = ("val", "valid", "validation", "dev", "test", "testing", "holdout")
_TRAINING = ("train", "training")
_TABLES = JSON_LINES | {".csv", ".tsv", ".tab"}
_LABELS = ("label", "labels", "class", "target", "y")
_TEXTS = ("text", "sentence", "review", "content", "title")
_PUBLISHED = tuple(
    kind
    for section in (PublishedImagesConfig, PublishedTextsConfig)
    for kind in get_args(section.model_fields["kind"].annotation)
)


def data_section(
    path: str, train: str | None = None, text: str | None = None, label: str | None = None
) -> dict[str, Any]:
    """The `data` section of a study file.

    Parameters
    ----------
    path : str
        A folder with one folder of pictures a class, or with two such, of training and of held-out data; a file of
        texts or of numbers; or the name of a published set and its folder: ``cifar10:data/cifar10``.
    train : str, optional
        Training data in the same form.
    text, label : str, optional
        Columns of a file, by name or by number from 0; the usual names are found.

    Raises
    ------
    BequeathError
        If there is no such data, or a file's columns cannot be told apart.
    """
    kind, colon, folder = path.partition(":")
    if colon and kind in _PUBLISHED:
        return {"kind": kind, "path": _there("--data", folder)}
    place = Path(_there("--data", path))
    parts: dict[str, Any] = {"path": str(place)}
    if train is not None:
        parts["train"] = _there("--train", train)
    if place.is_dir():
        if train is None:
            parts = _split(place)
        return {"kind": "image_folder", **parts}
    if place.suffix.lower() not in _TABLES:
        raise BequeathError(
            f"--data: {path}: a folder of pictures, or a file that ends in {', '.join(sorted(_TABLES))}, or one of "
            f"{', '.join(_PUBLISHED)} with its folder ({_PUBLISHED[0]}:FOLDER) is needed"
        )
    return {**_columns(place, text, label), **parts}


def _there(argument: str, path: str) -> str:
    whole = Path(path).expanduser().absolute()
    if not whole.exists():
        raise BequeathError(f"{argument}: no such file or folder: {path}")
    return str(whole)


def _split(folder: Path) -> dict[str, Any]:
    """A folder of classes; or two such below it."""
    below = {one.name.lower(): one for one in folder.iterdir() if one.is_dir()}
    held_out = next((below[name] for name in _HELD_OUT if name in below), None)
    training = next((below[name] for name in _TRAINING if name in below), None)
    if held_out is not None and below.keys() <= {*_HELD_OUT, *_TRAINING}:
        return {"path": str(held_out), **({} if training is None else {"train": str(training)})}
    return {"path": str(folder)}


def _columns(file: Path, text: str | None, label: str | None) -> dict[str, Any]:
    """Which columns hold what: texts where there is a column of texts, else a table of numbers."""
    chosen: list[Column] | None = None if text is None else [_column(one) for one in text.split(",")]
    given = [*(chosen or []), *([] if label is None else [_column(label)])]
    if any(isinstance(one, int) for one in given):
        if chosen is None or label is None:
            raise BequeathError(f"--text and --label: {file} is read by numbers of columns; give both")
        return {"kind": "text_table", "text": chosen, "label": _column(label)}
    names = _header(file)
    found = label or next((name for name in _LABELS if name in names), None)
    if found is None or found not in names:
        wanted = "no label column" if label is None else f"no column {label!r}"
        raise BequeathError(f"--label: {file}: {wanted}; its columns are {few(names)}")
    if chosen is None:
        usual: list[Column] = [name for name in _TEXTS if name in names]
        chosen = usual[:1] or None
    if chosen is None:
        return {"kind": "table", "label": found}
    unknown = [one for one in chosen if one not in names]
    if unknown:
        raise BequeathError(f"--text: {file}: no column {unknown[0]!r}; its columns are {few(names)}")
    return {"kind": "text_table", "text": chosen, "label": found}


def _column(given: str) -> Column:
    return int(given) if given.isdecimal() else given


def _header(file: Path) -> Sequence[str]:
    return read_rows(file, list(_LABELS)).names or []
