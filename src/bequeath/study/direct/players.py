"""Players, and what hides them, where a study file does not say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality

FEWEST, MOST = 3, 12
"""Runs of words of a text."""
_GRID = re.compile(r"(\d+) *x *(\d+)")

USUAL: dict[Modality, dict[str, Any]] = {
    "image": {"players": {"kind": "grid", "rows": 4, "cols": 4}, "baseline": "mean"},
    "text": {"players": {"kind": "words", "n_players": FEWEST}, "baseline": "mask_token"},
    "table": {"players": {"kind": "columns"}, "baseline": "dataset_mean"},
}


def cells(given: str) -> dict[str, Any]:
    """Cells of a grid, or superpixels.

    Raises
    ------
    BequeathError
        If it is neither ``6x6`` nor a number.
    """
    grid = _GRID.fullmatch(given)
    if grid is not None:
        return {"kind": "grid", "rows": int(grid[1]), "cols": int(grid[2])}
    return {
        "kind": "superpixels",
        "n_players": number("--players", given, "rows x columns (6x6), or a number of superpixels"),
    }


def runs_of_words(texts: Sequence[str], samples: int) -> int:
    """How many: so that there are twice as many texts to choose from as are read."""
    lengths = sorted((len(text.split()) for text in texts), reverse=True)
    return max(FEWEST, min(MOST, lengths[min(2 * samples, len(lengths)) - 1]))


def number(argument: str, given: str, forms: str = "a number") -> int:
    """A whole number.

    Raises
    ------
    BequeathError
        If it is none.
    """
    if not given.isdecimal():
        raise BequeathError(f"{argument}: {given!r}; give {forms}")
    return int(given)
