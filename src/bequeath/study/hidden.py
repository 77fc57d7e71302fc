"""Hides the players that readings of flipped samples name, in both models, to check whether they matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bequeath.games.runner import Runner
from bequeath.knowledge.hiding import hiding_masks, players_concerned
from bequeath.study.findings.changes import PAIR, flipped_rows, flipped_terms, tested_ids
from bequeath.study.findings.evidence import Evidence
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan
from bequeath.study.status import Status

# The largest number of samples, which is enough for an interval.
_MOST = 200


def hide(parts: StudyParts, plan: Plan, evidence: Evidence, folder: Path, status: Status) -> dict[str, Any]:
    """Evaluate the models before and after with the named players hidden, and with as many random players hidden.

    Returns
    -------
    dict
        By id of each flipped sample whose readings name players: ``players``, and under ``before`` and ``after`` the
        values v on the masks of `bequeath.knowledge.hiding.hiding_masks`.
    """
    tested = tested_ids(parts, plan)
    rows = flipped_rows(evidence, tested)[:_MOST]
    chosen = _chosen(evidence, rows)
    hidden: dict[str, Any] = {evidence.samples[row]: {"players": list(chosen[row])} for row in chosen}
    stage = status.stage("hiding players of flipped samples", len(PAIR) * len(chosen))
    for role in PAIR if chosen else ():
        checkpoint = plan.checkpoints[plan.finals[evidence.compared[role]]]
        runner = Runner(parts.models.load(checkpoint, folder), parts.inputs.how)
        for row, players in chosen.items():
            game = parts.games.game(runner.model, plan.samples[evidence.places[row]], checkpoint)
            request = game.start(runner, hiding_masks(players, game.n_players, evidence.config.seed))
            runner.flush()
            hidden[evidence.samples[row]][role] = request.out.tolist()
            status.advance(stage, 1)
    return hidden


def _chosen(evidence: Evidence, rows: list[int]) -> dict[int, tuple[int, ...]]:
    """The players to hide, by row. Rows whose readings name no players are left out."""
    named = {
        row: players_concerned(terms, evidence.change[row].item(), evidence.finals["before"].n_players)
        for row, terms in flipped_terms(evidence, rows).items()
    }
    return {row: players for row, players in named.items() if players}
