"""Of flipped samples that were read: the interactions that changed the output, and what hiding their players did."""

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

Pair = Mapping[str, Interactions]
"""Readings of the models before and after, by role."""

# Interactions told of each sample: more crowd findings and page.
_TERMS = 6
_EXACT = "exact readings hold the value of every mask, so they cannot be wrong about one"
_NO_HALVES = "there are too few masks to read two halves of them"


def flipped_rows(evidence: Evidence, tested: Sequence[str]) -> list[int]:
    """Which samples one of the models before and after has right and the other wrong.

    Parameters
    ----------
    evidence : Evidence
    tested : sequence of str
        Ids of the accuracy samples, in their order.
    """
    answers = zip(tested, evidence.answers("before"), evidence.answers("after"), strict=True)
    flipped = {name for name, before, after in answers if before != after}
    return [row for row, name in enumerate(evidence.samples) if name in flipped]


def changes(evidence: Evidence, tested: Sequence[str], hidden: Json) -> tuple[dict[str, Json], Json | None]:
    """What changed in each flipped sample that was read, and how far it is right.

    Parameters
    ----------
    evidence : Evidence
    tested : sequence of str
        Ids of the accuracy samples, in their order.
    hidden : dict
        From `bequeath.study.hidden.hide`.

    Returns
    -------
    tuple
        By sample id its entry ``change``; and ``check``, None where no players were hidden.
    """
    rows = flipped_rows(evidence, tested)
    if not rows:
        return {}, None
    pair = {role: evidence.finals[role] for role in ("before", "after")}
    halves = halves_of(pair)
    some = (one[torch.tensor(rows)] for one in pair.values())
    found = {
        evidence.samples[row]: _change(evidence, row, terms)
        for row, terms in zip(rows, term_changes(*some), strict=True)
    }
    total, said, seen, sure = [], [], [], []
    for row in rows:
        name = evidence.samples[row]
        if name not in hidden:
            continue
        masks = hiding_masks(hidden[name]["players"], pair["before"].n_players, evidence.config.seed)
        total.append(evidence.change[row].item())
        said.append(_moves(pair, row, masks))
        seen.append(np.subtract(hidden[name]["after"], hidden[name]["before"]) - total[-1])
        own = [_moves(half, row, masks[:1])[0] for half in halves or ()]
        sure.append(len(own) == 2 and bool(own[0] * own[1] > 0))
        found[name]["hidden"] = {
            "players": hidden[name]["players"],
            "said": float(said[-1][0]),
            "measured": float(seen[-1][0]),
            "at_random": float(seen[-1][1:].mean()) if len(seen[-1]) > 1 else None,
            "measurable": sure[-1],
        }
    if not total:
        return found, None
    check = hiding_check(total, said, seen, sure)
    reason = None
    if not check.measurable:
        exact = any(one.listed is None for one in pair.values())
        reason = _EXACT if exact else "the halves of the masks do not agree" if halves else _NO_HALVES
    return found, {"n": len(total), "reason": reason, **plain(vars(check))}


def _moves(readings: Pair, row: int, masks: Tensor) -> NDArray[np.float64]:
    """How the difference between the models moves from all players shown to the masks, as the readings say."""
    both = torch.cat((torch.ones_like(masks[:1]), masks))
    before, after = (readings[role][row].reconstruct(both) for role in ("before", "after"))
    difference = (after - before).numpy()
    return np.asarray(difference[1:] - difference[0])


def _change(evidence: Evidence, row: int, terms: Sequence[TermChange]) -> Json:
    before, after = (evidence.ends(evidence.compared[role])[1][row].item() for role in ("before", "after"))
    total = after - before
    # A share of what is no larger than the readings' error would be a share of noise.
    told = abs(total) > _error(evidence, row)
    sums = {
        what: sum(one.change for one in terms if one.direction == what) for what in ("lost", "came", "turned")
    }
    return {
        "before": before,
        "after": after,
        "total": total,
        **sums,
        "rest": total - sum(sums.values()),
        "terms": [
            {
                "type": one.kind,
                "players": list(one.players),
                "what": one.direction,
                "before": one.before,
                "after": one.after,
                "share": one.change / total if told else None,
            }
            for one in terms[:_TERMS]
        ],
        "hidden": None,
    }


def _error(evidence: Evidence, row: int) -> float:
    """Root mean squared error of the readings' difference on masks that were left out; 0 for exact readings."""
    spreads: list[Any] = [
        one[row].spread.item() for one in (evidence.finals["before"], evidence.finals["after"]) if one.listed
    ]
    return float(np.hypot(*spreads)) if len(spreads) == 2 else 0.0
