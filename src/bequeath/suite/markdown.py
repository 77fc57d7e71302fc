"""Escapes texts for Markdown, so that they do not begin a cell, a tag, a formula or a link."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from bequeath.printable import all_texts, printable

_SIGNS = {sign: f"&#{ord(sign)};" for sign in "|`$*\\~"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Brackets that begin or name a link, and underscores that are not within a word.
_PATTERN = re.compile(r"[|`$*\\~&<>]|\](?=[(\[:])|(?<!\w)_|_(?!\w)")


def escaped(text: str) -> str:
    """Escape a text for a line or a cell."""
    return _PATTERN.sub(lambda match: _SIGNS.get(match[0], f"&#{ord(match[0])};"), printable(text))


def all_escaped(document: Any) -> Any:
    """Escape all texts of a document, also its keys, since names of models are keys."""
    return all_texts(document, escaped)


def code(text: str) -> str:
    """A text as inline code; it may contain backticks."""
    text = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{space}{text}{space}{fence}"


def address(name: str) -> str:
    """The name of a file in the page's folder, quoted for a link."""
    return quote(name, safe="", errors="surrogateescape")
