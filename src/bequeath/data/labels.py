"""Labels and class names: which integer or name means which class, and how some classes are chosen."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bequeath.errors import BequeathError, few

# How pandas and spreadsheets write a missing value.
MISSING = frozenset({"", "nan", "NaN", "NAN", "<NA>", "NA", "#N/A", "N/A", "null", "NULL", "None"})
# Larger numbers mean that the column holds ids, not classes.
_MOST_CLASSES = 100_000
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


def check_labels(
    place: str, what: str, count: int, labels: Sequence[int] | NDArray[Any], classes: Sequence[str]
) -> tuple[int, ...]:
    """Check labels, one index into `classes` for each sample, and return them as a tuple.

    Parameters
    ----------
    place : str
        Begins the errors.
    what : str
        What a sample is, for the errors: "image", "text" or "row".
    count : int
        Number of samples.
    labels, classes
        As for `Images`.

    Raises
    ------
    BequeathError
        If they are not one integer in 0..len(classes) - 1 per sample, naming the first that is not.
    """
    array = np.asarray(labels)
    if array.shape != (count,) or (array.dtype.kind not in "iu" and count):
        raise BequeathError(
            f"{place}: {count} {what}s need as many integer labels, not {array.dtype} {array.shape}"
        )
    bad = np.flatnonzero((array < 0) | (array >= len(classes)))
    if len(bad):
        raise BequeathError(
            f"{place}: label {array[bad[0]]} of {what} {bad[0]} is not in 0..{len(classes) - 1}; there "
            f"are {len(classes)} classes"
        )
    return tuple(int(label) for label in array)


def check_classes(place: str, known: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Check the class names that a user asks for, and return them as a tuple.

    Raises
    ------
    BequeathError
        If there are none, or a name is unknown or given twice; the error names it.
    """
    names = tuple(wanted)
    if isinstance(wanted, str) or not names:
        raise BequeathError(f"{place}: classes is {wanted!r}; give a list of names, such as {few(known, 2)}")
    missing = [name for name in names if name not in known]
    if missing:
        raise BequeathError(f"{place}: no class {missing[0]!r}; there are {few(known)}")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise BequeathError(f"{place}: class {twice[0]!r} is given twice; give each name once")
    return names


def choose_classes(
    place: str, known: Sequence[str], labels: Sequence[int], wanted: Sequence[str] | None
) -> tuple[tuple[str, ...], list[int], list[int]]:
    """Keep the samples of some classes.

    Parameters
    ----------
    place : str
        Begins the errors.
    known : sequence of str
        All class names.
    labels : sequence of int
        One index into `known` per sample.
    wanted : sequence of str, optional
        Classes to keep, in the order of the model's outputs; None keeps all.

    Returns
    -------
    classes : tuple of str
    kept : list of int
        Positions of the samples of these classes.
    labels : list of int
        One index into `classes` per kept sample.

    Raises
    ------
    BequeathError
        If a wanted class is unknown or no sample is left.
    """
    if wanted is None:
        return tuple(known), list(range(len(labels))), list(labels)
    classes = check_classes(place, known, wanted)
    new = {known.index(name): label for label, name in enumerate(classes)}
    kept = [i for i, label in enumerate(labels) if label in new]
    if not kept:
        raise BequeathError(f"{place}: no samples of {few(classes)}; choose other classes")
    return classes, kept, [new[labels[i]] for i in kept]


def read_labels(
    place: str,
    raw: Sequence[str],
    where: Callable[[int], str],
    classes: Sequence[str] | None = None,
    first_label: int | None = None,
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Read labels that are written as names or numbers.

    Whole numbers may be written as ``1.0``, as pandas does. If a 0 occurs, they count from 0. If none occurs and the
    greatest is the number of `classes`, they count from 1. In any other case `first_label` must be given. Numbers that
    are not whole are names of classes, sorted by size.

    Parameters
    ----------
    place : str
        Begins the errors that concern all rows.
    raw : sequence of str
        One label per row.
    where : callable
        Names row i in errors.
    classes : sequence of str, optional
        Class names in the order of the model's outputs. By default the integers up to the greatest, or the distinct
        names, sorted.
    first_label : int, optional
        The integer that means the first class.

    Returns
    -------
    classes : tuple of str
    labels : tuple of int
        One index into `classes` per row.

    Raises
    ------
    BequeathError
        If a label is missing or fits no class, naming its row.
    """
    for i, label in enumerate(raw):
        if label in MISSING and label not in (classes or ()):
            raise BequeathError(
                f"{where(i)}: the label is {repr(label) if label else 'empty'}; fill it in or leave the row out"
                + (f", or name {label!r} under classes if it is one" if label else "")
            )
    raw = _as_integers(raw, classes)
    if classes is None and not _is_integer(raw[0]):
        if all(_is_integer(label) for label in raw[1:]) and len(raw) > 1:
            raise BequeathError(
                f"{where(0)}: label {raw[0]!r} is no integer, unlike all others; if this "
                "line is a header, name the columns instead of numbering them"
            )
        classes = _sorted(set(raw))
    if classes is not None and raw[0] in classes:
        index = {name: i for i, name in enumerate(classes)}
        for i, label in enumerate(raw):
            if label not in index:
                raise BequeathError(
                    f"{where(i)}: label {label!r} is none of {_quoted(classes)}; correct it, or list it under classes"
                )
        return tuple(classes), tuple(index[label] for label in raw)
    for i, label in enumerate(raw):
        if not _is_integer(label):
            known = "" if classes is None else f" and none of {_quoted(classes)}"
            raise BequeathError(f"{where(i)}: label {label!r} is no integer{known}; correct it")
    numbers = [int(label) for label in raw]
    first = (
        _first_label(place, numbers, None if classes is None else len(classes))
        if first_label is None
        else first_label
    )
    count = max(numbers) - first + 1 if classes is None else len(classes)
    if count > _MOST_CLASSES:
        raise BequeathError(
            f"{where(numbers.index(max(numbers)))}: label {max(numbers)} would make {count} classes; give the right "
            "column as label, or the names of the classes under classes"
        )
    names = tuple(classes) if classes is not None else tuple(str(first + k) for k in range(count))
    for i, number in enumerate(numbers):
        if not first <= number < first + len(names):
            raise BequeathError(
                f"{where(i)}: label {number} is not in {first}..{first + len(names) - 1} "
                f"({len(names)} classes, counted from {first})"
            )
    return names, tuple(number - first for number in numbers)


def _first_label(place: str, numbers: list[int], n_classes: int | None) -> int:
    least, greatest = min(numbers), max(numbers)
    if least == 0:
        return 0
    if least == 1 and (n_classes is None or greatest == n_classes):
        return 1
    count = "" if n_classes is None else f" for {n_classes} classes"
    raise BequeathError(
        f"{place}: labels {least}..{greatest}{count} do not show which one is the first class; give first_label"
    )


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _as_integers(raw: Sequence[str], classes: Sequence[str] | None) -> list[str]:
    """Write whole numbers in one form (``1`` for ``1.0``), if all labels that are no class names are whole numbers."""
    written = {label for label in raw if label not in (classes or ())}
    if not all(_WHOLE.fullmatch(label) for label in written):
        return list(raw)
    plain = {label: str(int(label.partition(".")[0])) for label in written}
    return [plain.get(label, label) for label in raw]


def _sorted(names: set[str]) -> list[str]:
    """Names sorted by size if all are numbers (as texts, 10.5 would come before 2.5), else alphabetically."""
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return sorted(names)
    if not all(map(math.isfinite, numbers.values())):
        return sorted(names)
    return sorted(names, key=lambda name: (numbers[name], name))


def _quoted(names: Sequence[str]) -> str:
    return few([repr(name) for name in names], 20)
