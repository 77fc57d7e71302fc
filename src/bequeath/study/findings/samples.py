"""The entry ``samples`` of the findings: each sample's outputs, strongest interactions, and picture or words."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.regions import main_part
from bequeath.knowledge.roles import ROLES
from bequeath.lattice.interactions import TYPES
from bequeath.study.findings.changes import tested_ids
from bequeath.study.findings.describe import boxes
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan

# The number of samples with pictures and interactions; more would make the page large. The others have numbers only.
_DRAWN = 200
# The number of strongest interactions of each compared model that are listed for a sample.
_TERMS = 8
# The longer side of a picture in pixels. Pictures up to the second size are stored as PNG, since JPEG would blur them.
_LONGEST, _SMALL = 192, 64
# Squares per side of the grid that holds the places of superpixels and regions.
_GRID = 56


def samples(evidence: Evidence, parts: StudyParts, plan: Plan) -> list[Json]:
    """Make the entry ``samples``. If there are many samples, only those whose output changed most are drawn."""
    comparison = evidence.comparison
    ends = {name: evidence.ends(name) for name in evidence.models}
    verdicts = _verdicts(evidence, parts, plan)
    common = boxes(parts.games.players())
    change = np.abs(evidence.change.numpy())
    drawn = set(np.argsort(-change, kind="stable")[:_DRAWN].tolist())
    strengths = {part: getattr(comparison, part).sum((1, 2)) for part in ("preserved", "discarded", "new")}
    return [
        {
            "id": sample,
            "class": evidence.classes[row],
            "verdict": verdicts.get(sample),
            "v_full": {name: full[row].item() for name, (_, full) in ends.items()},
            "v_empty": {name: empty[row].item() for name, (empty, _) in ends.items()},
            "strength": {part: total[row].item() for part, total in strengths.items()},
            "scene": scene(parts, plan.samples[evidence.places[row]], common) if row in drawn else None,
            "terms": _terms(comparison, row) if row in drawn else [],
        }
        for row, sample in enumerate(evidence.samples)
    ]


def _verdicts(evidence: Evidence, parts: StudyParts, plan: Plan) -> dict[str, str]:
    """By id of each accuracy sample, which of the models before and after are right."""
    verdicts = {(1, 1): "both", (1, 0): "forgotten", (0, 1): "learned", (0, 0): "neither"}
    pairs = zip(evidence.answers("before"), evidence.answers("after"), strict=True)
    tested = zip(tested_ids(parts, plan), pairs, strict=True)
    return {name: verdicts[int(was), int(now)] for name, (was, now) in tested}


def scene(parts: StudyParts, index: int, common: list[list[float]] | None) -> Json:
    """A sample for readers: ``picture``, ``words``, and where its players are (``boxes`` or ``areas``).

    ``boxes`` is null if they are the `common` ones of all samples, which are in ``study``. ``areas`` is null if players
    are boxes or have no place in a picture.
    """
    sample, players = parts.inputs.data[index], parts.games.players(index)
    captions, labels = parts.games.captions(index), players.label_map(sample.x)
    own = boxes(players)
    return {
        "picture": None if sample.picture is None else _data_uri(sample.picture),
        "words": None if captions is None else list(captions),
        "boxes": None if own == common else own,
        "areas": None if labels is None else areas(labels),
    }


def areas(owner: NDArray[np.int64]) -> Json:
    """The player of each square on a grid of at most `_GRID` squares per side.

    Parameters
    ----------
    owner : ndarray
        The player of each pixel, negative where there is none: int64, (height, width).

    Returns
    -------
    dict
        ``width`` and ``height`` of the grid; ``runs``: player, length, player, length, ... of runs of equal squares,
        row after row.
    """
    height, width = (min(side, _GRID) for side in owner.shape)
    rows = (np.arange(height) * owner.shape[0] + owner.shape[0] // 2) // height
    columns = (np.arange(width) * owner.shape[1] + owner.shape[1] // 2) // width
    coarse = owner[rows][:, columns].flatten()
    starts = np.flatnonzero(np.diff(coarse, prepend=coarse[0] - 1))
    lengths = np.diff(starts, append=len(coarse))
    runs = np.stack((coarse[starts], lengths), 1).flatten()
    return {"width": width, "height": height, "runs": runs.tolist()}


def _terms(comparison: Comparison, row: int) -> list[Json]:
    """The strongest interactions of each compared model, sorted by their strongest effect, in units of the value."""
    roles = [role for role in ROLES if role in comparison.effects]
    effects = {role: comparison.effects[role][row].flatten() for role in roles}
    size = len(comparison.orders)
    positions: set[int] = set()
    for effect in effects.values():
        strongest = effect.abs().argsort(descending=True, stable=True)[:_TERMS].tolist()
        positions |= {position for position in strongest if effect[position] != 0}
    terms = []
    for position in positions:
        kind, subset = divmod(position, size)
        before, after = (comparison.values[role][row, kind, subset].item() for role in ("before", "after"))
        terms.append(
            {
                "type": TYPES[kind],
                "players": list(comparison.members(subset)),
                "part": main_part(before, after),
                **{role: effect[position].item() for role, effect in effects.items()},
            }
        )
    return sorted(
        terms, key=lambda term: (-max(abs(term[role]) for role in roles), term["type"], term["players"])
    )


def _data_uri(picture: NDArray[np.uint8]) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((_LONGEST, _LONGEST))
    kind = "PNG" if max(image.size) <= _SMALL else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, format=kind, optimize=True, quality=80)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
