"""Reads the same models as the interaction papers do, and judges claims by their rule.

Source: docs/method.md, section "Exact readings".
"""

from __future__ import annotations

from typing import Any

from bequeath.knowledge.verdicts import paper_verdict
from bequeath.study.config import StudyConfig, checkpoint_files

Json = dict[str, Any]

# The papers' number of players: all 2**n masks are evaluated.
_NINE = {"n_players": 9}
_PLAYERS = {
    "grid": {"rows": 3, "cols": 3},
    "words": _NINE,
    "tokens": _NINE,
    "sentences": _NINE,
    "superpixels": _NINE,
}
_CLAIMS = {"preserved": "F1", "relearned": "F2"}


def paper_form(config: StudyConfig) -> StudyConfig | None:
    """A study of the same models on the same samples, with 9 players and the reading `paper`.

    Returns
    -------
    StudyConfig or None
        Of the last checkpoints only. None if players of this kind cannot be reduced to 9, or if there are no more than
        9: the findings then hold that reading beside their own.
    """
    nine_players, n = _PLAYERS.get(config.players.kind), config.players.n_players
    if nine_players is None or n is None or n <= 9:
        return None
    dumped = config.model_dump(mode="json")
    roles = {role: name for role, name in dumped["roles"].items() if role != "twins"}
    models = {name: dumped["models"][name] for name in roles.values() if name is not None}
    for name, model in models.items():
        if model["checkpoints"]:
            *_, (_, _, file) = checkpoint_files(config.models[name], f"models.{name}")
            model["checkpoints"] = [str(file)]
    return StudyConfig.model_validate(
        dumped
        | {
            "name": f"{config.name}, read as the papers do",
            "roles": roles,
            "models": models,
            "players": {**dumped["players"], **nine_players},
            "masks": None,
            "decomposition": "paper",
            **dict.fromkeys(("training", "bounds", "retest", "salient")),
        }
    )


def as_the_papers(findings: Json | None, pooled: Json) -> Json | None:
    """Shares and verdicts by the papers' reading and rule.

    Parameters
    ----------
    findings : dict or None
        Findings of a run of `paper_form`, if there was one.
    pooled : dict
        The row's pooled findings, which may hold that reading.

    Returns
    -------
    dict or None
        ``players`` (text), ``shares`` and, by claim, ``verdicts``; None if there is no such reading.
    """
    if findings is not None:
        study, shares = findings["study"], findings["knowledge"]["shares"]
    else:
        study, shares = pooled["study"], pooled["knowledge"]["by_reading"].get("paper")
    if shares is None:
        return None
    return {
        "players": study["players"],
        "shares": {name: shares[name] for name in _CLAIMS if name in shares},
        "verdicts": {
            claim: paper_verdict(shares[name]["observed"])
            for name, claim in _CLAIMS.items()
            if name in shares
        },
    }
