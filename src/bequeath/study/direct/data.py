"""The `data` section of a study file from one argument of the command line: a folder, a file, or KIND:FOLDER."""

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
    """Make the `data` section of a study file.

    Parameters
    ----------
    path : str
        A folder with one folder of pictures per class, or with one such folder of training and one of held-out data; a
        file of texts or of numbers; or the name of a published set and its folder: ``cifar10:data/cifar10``.
    train : str, optional
        Training data in the same form.
    text, label : str, optional
        Columns of a file, by name or by number counted from 0. By default columns with usual names are used.

    Raises
    ------
    BequeathError
        If there is no such data, or it is not clear which columns of a file hold what.
    """
    kind, colon, folder = path.partition(":")
    if colon and kind in _PUBLISHED:
        return {"kind": kind, "path": _existing("--data", folder)}
    place = Path(_existing("--data", path))
    parts: dict[str, Any] = {"path": str(place)}
    if train is not None:
        parts["train"] = _existing("--train", train)
    if place.is_dir():
        if train is None:
            parts = _split(place)
        return {"kind": "image_folder", **parts}
    if place.suffix.lower() not in _TABLES:
        raise BequeathError(
            f"--data: {path}: unknown kind of data; give a folder of pictures, a file that ends in "
            f"{', '.join(sorted(_TABLES))}, or one of {', '.join(_PUBLISHED)} with its folder ({_PUBLISHED[0]}:FOLDER)"
        )
    return {**_columns(place, text, label), **parts}


def _existing(argument: str, path: str) -> str:
    absolute = Path(path).expanduser().absolute()
    if not absolute.exists():
        raise BequeathError(f"{argument}: no such file or folder: {path}; correct the path")
    return str(absolute)


def _split(folder: Path) -> dict[str, Any]:
    """Paths of the parts in a folder: itself, if it holds folders of classes, or its held-out and training folders."""
    below = {subfolder.name.lower(): subfolder for subfolder in folder.iterdir() if subfolder.is_dir()}
    held_out = next((below[name] for name in _HELD_OUT if name in below), None)
    training = next((below[name] for name in _TRAINING if name in below), None)
    if held_out is not None and below.keys() <= {*_HELD_OUT, *_TRAINING}:
        return {"path": str(held_out), **({} if training is None else {"train": str(training)})}
    return {"path": str(folder)}


def _columns(file: Path, text: str | None, label: str | None) -> dict[str, Any]:
    """The kind of a file and its columns: texts if there is a column of texts, else a table of numbers."""
    texts: list[Column] | None = None if text is None else [_column(name) for name in text.split(",")]
    given = [*(texts or []), *([] if label is None else [_column(label)])]
    if any(isinstance(column, int) for column in given):
        if texts is None or label is None:
            raise BequeathError(
                f"--text and --label: {file}: one column is given by number; give both by number"
            )
        return {"kind": "text_table", "text": texts, "label": _column(label)}
    names = _header(file)
    label_name = label or next((name for name in _LABELS if name in names), None)
    if label_name is None or label_name not in names:
        problem = "no column with a usual name of labels" if label is None else f"no column {label!r}"
        raise BequeathError(f"--label: {file}: {problem}; give one of {few(names)}")
    if texts is None:
        usual: list[Column] = [name for name in _TEXTS if name in names]
        texts = usual[:1] or None
    if texts is None:
        return {"kind": "table", "label": label_name}
    unknown = [column for column in texts if column not in names]
    if unknown:
        raise BequeathError(f"--text: {file}: no column {unknown[0]!r}; give one of {few(names)}")
    return {"kind": "text_table", "text": texts, "label": label_name}


def _column(given: str) -> Column:
    return int(given) if given.isdecimal() else given


def _header(file: Path) -> Sequence[str]:
    return read_rows(file, list(_LABELS)).names or []
