"""Turns pydantic's validation errors of a study file into one line with file, line and key."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from bequeath.errors import BequeathError
from bequeath.study.config.places import is_type
from bequeath.study.config.text import line_of


def has_unknown_key(error: ValidationError) -> bool:
    """Whether one of the errors is an unknown key."""
    return any(_is_unknown(detail) for detail in error.errors())


def one_line(
    error: ValidationError, file: object, text: str, known: tuple[str, ...], small: Mapping[Any, Any]
) -> BequeathError:
    """The most important of the errors, as one line.

    Parameters
    ----------
    error : ValidationError
    file
        Path of the study file, or what to call the settings.
    text : str
        The file's text, in which the line is looked up.
    known : tuple of str
        Keys of the top level.
    small : mapping
        The sections that come from the file's small form.
    """
    # A misspelt key comes first, because it can cause other errors.
    errors = sorted(error.errors(), key=lambda detail: not _is_unknown(detail))
    first = errors[0]
    loc: tuple[Any, ...] = first["loc"]
    line = line_of(text, ("small", *loc) if loc[:1] and loc[0] in small else loc)
    place = ".".join(str(part) for part in loc if not is_type(part))
    message = first["msg"].removeprefix("Value error, ")
    if _is_unknown(first):
        missing = [
            str(detail["loc"][-1])
            for detail in errors
            if detail["type"] == "missing" and detail["loc"][:-1] == loc[:-1]
        ]
        near = get_close_matches(str(loc[-1]), [*missing, *(known if len(loc) == 1 else ())], 1)
        message = f"unknown key; is it {near[0]}?" if near else "unknown key"
    elif first["type"] == "model_type":
        message = "unknown key, or its value must be a section (key: value, ...)"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    at = f"{file}:{line}" if line else str(file)
    return BequeathError(f"{at}: {place + ': ' if place else ''}{message}{more}")


def _is_unknown(error: Mapping[str, Any]) -> bool:
    return bool(error["type"] == "extra_forbidden")
