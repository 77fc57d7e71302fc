"""What is wrong with a study file, in one line: the first of pydantic's errors, with its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from bequeath.errors import BequeathError
from bequeath.study.config.places import is_type
from bequeath.study.config.text import line_of


def has_unknown_key(error: ValidationError) -> bool:
    """Whether one of the errors is a key that no section has."""
    return any(_is_unknown(one) for one in error.errors())


def told(
    error: ValidationError, file: object, text: str, known: tuple[str, ...], small: Mapping[Any, Any]
) -> BequeathError:
    """The error as users are meant to read it.

    Parameters
    ----------
    error : ValidationError
    file, text
        The study file and what stands in it.
    known : tuple of str
        Keys at the top.
    small : mapping
        The sections that come from the file's small form.
    """
    # A key that is misspelt is the reason for others of the errors: it comes first.
    errors = sorted(error.errors(), key=lambda one: not _is_unknown(one))
    first = errors[0]
    loc: tuple[Any, ...] = first["loc"]
    line = line_of(text, ("small", *loc) if loc[:1] and loc[0] in small else loc)
    place = ".".join(str(part) for part in loc if not is_type(part))
    message = first["msg"].removeprefix("Value error, ")
    if _is_unknown(first):
        missing = [
            str(one["loc"][-1]) for one in errors if one["type"] == "missing" and one["loc"][:-1] == loc[:-1]
        ]
        near = get_close_matches(str(loc[-1]), [*missing, *(known if len(loc) == 1 else ())], 1)
        message = f"unknown key; is it {near[0]}?" if near else "unknown key"
    elif first["type"] == "model_type":
        message = "unknown key, or a section (key: value, ...) is needed here"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    at = f"{file}:{line}" if line else str(file)
    return BequeathError(f"{at}: {place + ': ' if place else ''}{message}{more}")


def _is_unknown(error: Mapping[str, Any]) -> bool:
    return bool(error["type"] == "extra_forbidden")
