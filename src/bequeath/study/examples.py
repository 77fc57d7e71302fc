"""A few samples with their strongest preserved, new and discarded interactions, for the report."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bequeath.games.players import Grid
from bequeath.knowledge.regions import MODELS, Comparison
from bequeath.lattice.interactions import TYPES
from bequeath.lattice.subsets import members
from bequeath.study.loading import Materials
from bequeath.study.plan import Plan

_EXAMPLES = 6
_TERMS = 3


def examples(comparison: Comparison, materials: Materials, plan: Plan) -> list[dict[str, Any]]:
    """Entries of ``examples`` in the findings: samples spread evenly over those of the study."""
    count = min(_EXAMPLES, len(plan.samples))
    rows = np.linspace(0, len(plan.samples) - 1, count).round().astype(int).tolist()
    players = materials.players()
    found = []
    for row in rows:
        index = plan.samples[row]
        sample = materials.data[index]
        image = isinstance(players, Grid)
        found.append(
            {
                "sample": sample.id,
                "class": materials.classes[sample.label],
                "picture": None if sample.picture is None else _data_uri(sample.picture),
                "words": None if image else list(materials.player_names(index)),
                "boxes": [list(box) for box in players.boxes()] if isinstance(players, Grid) else None,
                **{part: _strongest(comparison, part, row) for part in ("preserved", "new", "discarded")},
            }
        )
    return found


def _strongest(comparison: Comparison, part: str, row: int) -> list[dict[str, Any]]:
    strength = getattr(comparison, part)[row].flatten()
    size = len(comparison.orders)
    terms = []
    for position in strength.argsort(descending=True, stable=True)[:_TERMS].tolist():
        if strength[position] > 0:
            kind, subset = divmod(position, size)
            effects = {name: comparison.values[name][row, kind, subset].item() for name in MODELS}
            n = int(comparison.orders[-1])
            terms.append({"type": TYPES[kind], "players": list(members(subset, n)), **effects})
    return terms


def _data_uri(picture: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
