"""Makes text safe to print: names come from files, and may contain control characters for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

# Longer collections are given by their size.
_SHOWN_ITEMS = 4
# Characters that change the direction of writing, so that a line looks different from what it is.
_TURNS = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Unicode categories of control characters, surrogates (from names that are not UTF-8), and line ends.
_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}


def printable(text: str, keep: str = "") -> str:
    r"""A text in one line without control characters; these are written as escapes, such as ``\x1b``.

    Parameters
    ----------
    text : str
        The text.
    keep : str
        Control characters that stay, such as line ends.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escaped(character)
        if (unicodedata.category(character) in _HIDDEN or character in _TURNS) and character not in keep
        else character
        for character in text
    )


def _escaped(character: str) -> str:
    # Python represents a byte that is not UTF-8 by a surrogate.
    code = ord(character) - 0xDC00 if 0xDC80 <= ord(character) <= 0xDCFF else ord(character)
    if code > 0xFF:
        return f"\\u{code:04x}"
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")


def all_printable(value: Any, keep: str = "") -> Any:
    """`printable` for all texts in lists and mappings, including keys."""
    return all_texts(value, lambda text: printable(text, keep))


def all_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Apply a function to all texts in lists and mappings, including keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {all_texts(key, change): all_texts(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [all_texts(item, change) for item in value]
    return value


def is_text(path: Path | str) -> bool:
    """Whether a path is valid text; some file systems allow any bytes."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def one_line(record: Any) -> str:
    """A dataclass in one line: arrays as shape and dtype, long collections as their size."""
    shown = ", ".join(
        f"{field.name}={_brief(getattr(record, field.name))}" for field in fields(record) if field.repr
    )
    return f"{type(record).__name__}({shown})"


def _brief(value: Any) -> str:
    """A short text for a value."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        if len(shape) == 0:
            return f"{value.item():.4g}" if hasattr(value, "item") else str(value)
        return f"<{' x '.join(map(str, shape))} {str(dtype).removeprefix('torch.')}>"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return f"<{len(value)}: {', '.join(map(str, list(value)[:4]))}{', ...' if len(value) > 4 else ''}>"
    if isinstance(value, (tuple, list)):
        if len(value) > _SHOWN_ITEMS:
            return f"<{len(value)} items>"
        items = ", ".join(_brief(item) for item in value)
        return f"({items})" if isinstance(value, tuple) else f"[{items}]"
    if callable(value) and not is_dataclass(value):
        return "<function>"
    return printable(repr(value))
