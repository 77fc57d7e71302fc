"""The same models read as the interaction papers read them: what would they have said? (METHOD 3)."""

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
    """A study of the same last checkpoints on the same samples, by 9 players and the reading `paper`.

    None where the players cannot be made fewer, or where all masks are evaluated anyway: then the findings have that
    reading beside their own.
    """
    fewer, n = _PLAYERS.get(config.players.kind), config.players.n_players
    if fewer is None or n is None or n <= 9:
        return None
    plain = config.model_dump(mode="json")
    roles = {role: name for role, name in plain["roles"].items() if role != "twins"}
    models = {name: plain["models"][name] for name in roles.values() if name is not None}
    for name, model in models.items():
        if model["checkpoints"]:
            *_, (_, _, file) = checkpoint_files(config.models[name], f"models.{name}")
            model["checkpoints"] = [str(file)]
    return StudyConfig.model_validate(
        plain
        | {
            "name": f"{config.name}, read as the papers do",
            "roles": roles,
            "models": models,
            "players": {**plain["players"], **fewer},
            "masks": None,
            "decomposition": "paper",
            **dict.fromkeys(("training", "bounds", "retest", "salient")),
        }
    )


def as_the_papers(findings: Json | None, pooled: Json) -> Json | None:
    """What the papers' reading and rule say: from a run of `paper_form`, else from the findings that have it.

    Returns
    -------
    dict or None
        ``players`` (text), ``shares`` and, by claim, ``verdicts``; None where the reading was not made.
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
