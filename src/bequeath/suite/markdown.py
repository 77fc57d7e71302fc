"""Texts from files as Markdown shows them: what would begin a cell, a tag, a formula or a link is written out."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from bequeath.printable import all_texts, printable

_SIGNS = {sign: f"&#{ord(sign)};" for sign in "|`$*\\~"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Brackets that begin a link or name one, and underscores that are not within a word.
_PATTERN = re.compile(r"[|`$*\\~&<>]|\](?=[(\[:])|(?<!\w)_|_(?!\w)")


def escaped(text: str) -> str:
    """A text within a line or a cell."""
    return _PATTERN.sub(lambda found: _SIGNS.get(found[0], f"&#{ord(found[0])};"), printable(text))


def all_escaped(document: Any) -> Any:
    """Every text of a document, keys too: names of models are keys."""
    return all_texts(document, escaped)


def code(text: str) -> str:
    """A text as code, whatever backticks are in it."""
    text = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{space}{text}{space}{fence}"


def address(name: str) -> str:
    """The name of a file beside the page, as a link has it."""
    return quote(name, safe="", errors="surrogateescape")
