"""A few samples with their strongest preserved, new and discarded interactions, for the report."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.regions import shared
from bequeath.lattice.interactions import TYPES
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain
from bequeath.study.loading.parts import StudyParts

_EXAMPLES = 6
_TERMS = 3
# Squares a side in which the shapes of superpixels and regions are drawn.
_FINE = 56


def examples(evidence: Evidence, parts: StudyParts, samples: Sequence[int]) -> list[Json]:
    """Entries of ``examples`` in the findings, spread evenly; `samples` are the run's, as indices into the data."""
    comparison = evidence.comparison
    count = min(_EXAMPLES, len(evidence.samples))
    rows = np.linspace(0, len(evidence.samples) - 1, count).round().astype(int).tolist()
    found = []
    for row in rows:
        found.append(
            {
                "sample": evidence.samples[row],
                "class": evidence.classes[row],
                **scene(parts, samples[evidence.places[row]]),
                **{
                    part: _strongest(comparison, part, row)
                    for part in ("preserved", "new", "discarded", "flipped")
                },
            }
        )
    return found


def scene(parts: StudyParts, index: int) -> Json:
    """A sample as people see it, and where its players are: ``picture``, ``words``, ``boxes``, ``shapes``."""
    sample = parts.inputs.data[index]
    players, captions = parts.games.players(index), parts.games.captions(index)
    labels = players.label_map(sample.x)
    return {
        "picture": None if sample.picture is None else _data_uri(sample.picture),
        "words": None if captions is None else list(captions),
        "boxes": plain(players.boxes()),
        "shapes": None if labels is None else shapes(labels, parts.games.n_players),
    }


def shapes(owner: NDArray[np.int64], n: int) -> list[dict[str, str]]:
    """Each player's area and outline as SVG paths, in units of a grid of at most `_FINE` squares a side.

    Parameters
    ----------
    owner : ndarray
        The player of each pixel: (height, width).
    n : int
        Number of players.

    Returns
    -------
    list of dict
        ``area`` (rectangles that cover it), ``outline`` (lines around it); both within 0..1.
    """
    height, width = (min(side, _FINE) for side in owner.shape)
    rows = (np.arange(height) * owner.shape[0] + owner.shape[0] // 2) // height
    cols = (np.arange(width) * owner.shape[1] + owner.shape[1] // 2) // width
    coarse = owner[rows][:, cols]
    return [_paths(coarse == player) for player in range(n)]


def _paths(inside: NDArray[np.bool_]) -> dict[str, str]:
    height, width = inside.shape

    def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
        edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
        return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def number(value: float) -> str:
        return f"{value:.4f}".rstrip("0").rstrip(".")

    area, outline = [], []
    for r in range(height):
        for a, b in runs(inside[r]):
            x, y, w, h = (number(v) for v in (a / width, r / height, (b - a) / width, 1 / height))
            area.append(f"M{x} {y}h{w}v{h}h-{w}z")
    padded = np.pad(inside, 1)
    for r in range(height + 1):
        for a, b in runs(padded[r, 1:-1] != padded[r + 1, 1:-1]):
            outline.append(f"M{number(a / width)} {number(r / height)}H{number(b / width)}")
    for c in range(width + 1):
        for a, b in runs(padded[1:-1, c] != padded[1:-1, c + 1]):
            outline.append(f"M{number(c / width)} {number(a / height)}V{number(b / height)}")
    return {"area": "".join(area), "outline": "".join(outline)}


def _flipped(comparison: Comparison) -> Tensor:
    """Strength that both models have with opposite signs: it is discarded and new at once, (samples, 2, subsets)."""
    return shared(comparison.values["before"], -comparison.values["after"])


def _strongest(comparison: Comparison, part: str, row: int) -> list[Json]:
    strength = (_flipped(comparison) if part == "flipped" else getattr(comparison, part))[row].flatten()
    size = len(comparison.orders)
    terms = []
    for position in strength.argsort(descending=True, stable=True)[:_TERMS].tolist():
        if strength[position] > 0:
            kind, subset = divmod(position, size)
            effects = {role: value[row, kind, subset].item() for role, value in comparison.values.items()}
            players = list(comparison.members(subset))
            terms.append({"type": TYPES[kind], "players": players, **effects})
    return terms


def _data_uri(picture: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
