"""Players and baselines of a study without a study file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality

FEWEST, MOST = 3, 12
"""The smallest and the largest number of runs of words in a text."""
_GRID = re.compile(r"(\d+) *x *(\d+)")

USUAL: dict[Modality, dict[str, Any]] = {
    "image": {"players": {"kind": "grid", "rows": 4, "cols": 4}, "baseline": "mean"},
    "text": {"players": {"kind": "words", "n_players": FEWEST}, "baseline": "mask_token"},
    "table": {"players": {"kind": "columns"}, "baseline": "dataset_mean"},
}


def cells(given: str) -> dict[str, Any]:
    """The `players` section of pictures: cells of a grid, or superpixels.

    Parameters
    ----------
    given : str
        Rows and columns, such as ``6x6``, or a number of superpixels.

    Raises
    ------
    BequeathError
        If it is neither.
    """
    grid = _GRID.fullmatch(given)
    if grid is not None:
        return {"kind": "grid", "rows": int(grid[1]), "cols": int(grid[2])}
    return {
        "kind": "superpixels",
        "n_players": number("--players", given, "rows x columns (6x6), or a number of superpixels"),
    }


def runs_of_words(texts: Sequence[str], samples: int) -> int:
    """Choose a number of runs of words: twice as many texts as samples must have at least that many words.

    Parameters
    ----------
    texts : sequence of str
        All held-out texts.
    samples : int
        How many of them are read.
    """
    lengths = sorted((len(text.split()) for text in texts), reverse=True)
    return max(FEWEST, min(MOST, lengths[min(2 * samples, len(lengths)) - 1]))


def number(argument: str, given: str, forms: str = "a number") -> int:
    """Read a whole number.

    Parameters
    ----------
    argument : str
        Name of the option; begins the error.
    given : str
    forms : str
        What can be given, for the error.

    Raises
    ------
    BequeathError
        If it is not a whole number.
    """
    if not given.isdecimal():
        raise BequeathError(f"{argument}: {given!r}; give {forms}")
    return int(given)
