"""The interactions that changed the output of flipped samples, and the check of these by hiding their players."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge.hiding import TermChange, hiding_check, hiding_masks, term_changes
from bequeath.knowledge.repeats import halves_of
from bequeath.lattice.interactions import Interactions
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.plain import Json, plain
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan

PAIR = ("before", "after")
Pair = Mapping[str, Interactions]
"""Readings of the models before and after, by role."""

# The number of interactions that are listed for each sample; more would crowd findings and page.
_TERMS = 6
_EXACT = "exact readings hold the value of every mask, so they cannot be wrong about one"
_NO_HALVES = "there are too few masks to read two halves of them"


def tested_ids(parts: StudyParts, plan: Plan) -> list[str]:
    """Ids of the accuracy samples, in their order."""
    return [parts.inputs.data.ids[index] for index in plan.accuracy_samples]


def flipped_rows(evidence: Evidence, tested: Sequence[str]) -> list[int]:
    """Rows of the samples that one of the models before and after has right and the other wrong.

    Parameters
    ----------
    evidence : Evidence
    tested : sequence of str
        Ids of the accuracy samples, in their order.
    """
    answers = zip(tested, evidence.answers("before"), evidence.answers("after"), strict=True)
    flipped = {name for name, before, after in answers if before != after}
    return [row for row, name in enumerate(evidence.samples) if name in flipped]


def flipped_terms(evidence: Evidence, rows: Sequence[int]) -> dict[int, list[TermChange]]:
    """The interactions that changed between the models before and after, by row."""
    if not rows:
        return {}
    before, after = (evidence.finals[role][torch.tensor(rows)] for role in PAIR)
    return dict(zip(rows, term_changes(before, after), strict=True))


def changes(evidence: Evidence, tested: Sequence[str], hidden: Json) -> tuple[dict[str, Json], Json | None]:
    """Describe what changed in each flipped sample that was read, and check it by the hidden players.

    Parameters
    ----------
    evidence : Evidence
    tested : sequence of str
        Ids of the accuracy samples, in their order.
    hidden : dict
        From `bequeath.study.hidden.hide`.

    Returns
    -------
    changes : dict of str to dict
        The entry ``change`` of each sample, by id.
    check : dict or None
        The entry ``check``; None if no players were hidden.
    """
    rows = flipped_rows(evidence, tested)
    if not rows:
        return {}, None
    pair = {role: evidence.finals[role] for role in PAIR}
    halves = halves_of(pair)
    by_sample = {
        evidence.samples[row]: _change(evidence, row, terms)
        for row, terms in flipped_terms(evidence, rows).items()
    }
    total, predicted, measured, measurable = [], [], [], []
    for row in rows:
        name = evidence.samples[row]
        if name not in hidden:
            continue
        masks = hiding_masks(hidden[name]["players"], pair["before"].n_players, evidence.config.seed)
        total.append(evidence.change[row].item())
        predicted.append(_predicted(pair, row, masks))
        measured.append(np.subtract(hidden[name]["after"], hidden[name]["before"]) - total[-1])
        by_half = [_predicted(half, row, masks[:1])[0] for half in halves or ()]
        measurable.append(len(by_half) == 2 and bool(by_half[0] * by_half[1] > 0))
        by_sample[name]["hidden"] = {
            "players": hidden[name]["players"],
            "said": float(predicted[-1][0]),
            "measured": float(measured[-1][0]),
            "at_random": float(measured[-1][1:].mean()) if len(measured[-1]) > 1 else None,
            "measurable": measurable[-1],
        }
    if not total:
        return by_sample, None
    check = hiding_check(total, predicted, measured, measurable)
    reason = None
    if not check.measurable:
        exact = any(reading.listed is None for reading in pair.values())
        reason = _EXACT if exact else "the halves of the masks do not agree" if halves else _NO_HALVES
    return by_sample, {"n": len(total), "reason": reason, **plain(vars(check))}


def _predicted(readings: Pair, row: int, masks: Tensor) -> NDArray[np.float64]:
    """The change of v(after) - v(before), from all players shown to each mask, that the readings predict: (masks,)."""
    with_full = torch.cat((torch.ones_like(masks[:1]), masks))
    before, after = (readings[role][row].reconstruct(with_full) for role in PAIR)
    difference = (after - before).numpy()
    return np.asarray(difference[1:] - difference[0])


def _change(evidence: Evidence, row: int, terms: Sequence[TermChange]) -> Json:
    before, after = (evidence.ends(evidence.compared[role])[1][row].item() for role in PAIR)
    total = after - before
    # If the change is no larger than the readings' error, shares of it would be shares of noise.
    measurable = abs(total) > _error(evidence, row)
    sums = {
        direction: sum(term.change for term in terms if term.direction == direction)
        for direction in ("lost", "came", "turned")
    }
    return {
        "before": before,
        "after": after,
        "total": total,
        **sums,
        "rest": total - sum(sums.values()),
        "terms": [
            {
                "type": term.kind,
                "players": list(term.players),
                "what": term.direction,
                "before": term.before,
                "after": term.after,
                "share": term.change / total if measurable else None,
            }
            for term in terms[:_TERMS]
        ],
        "hidden": None,
    }


def _error(evidence: Evidence, row: int) -> float:
    """Root mean squared error of the readings' difference on held-out masks, in units of the value; 0 if exact."""
    readings = (evidence.finals["before"], evidence.finals["after"])
    spreads: list[Any] = [reading[row].spread.item() for reading in readings if reading.listed]
    return float(np.hypot(*spreads)) if len(spreads) == 2 else 0.0
