"""What came out, in sentences that need no term of ours: the head of page, terminal and suite."""

from __future__ import annotations

from typing import Any

from bequeath.study.findings.plain import Json

_THINGS = {"image": "picture", "text": "text", "table": "row"}


def summary(findings: Json) -> Json:
    """``summary`` of the findings, from all else in them.

    Returns
    -------
    dict
        ``compared``: a text; ``findings``: up to three sentences; ``sure``: texts on how far they can be relied on;
        ``not_measurable``: what could not be told, with the reason, a list of texts.
    """
    roles, knowledge = findings["roles"], findings["knowledge"]
    before, after, control = roles["before"], roles["after"], roles["control"]
    preserved, relearned = knowledge["shares"]["preserved"], knowledge["shares"].get("relearned")
    told, not_told = [], []
    if preserved["reason"]:
        not_told.append(f"How much of {before} is left in {after}: {preserved['reason']}.")
    else:
        told.append(_preserved(preserved, before, after))
    if relearned is not None and control is not None:
        if relearned["reason"]:
            not_told.append(f"How much of that {control} has found by itself: {relearned['reason']}.")
        else:
            told.append(_relearned(relearned, control, after))
    course = findings["claims"].get("F3") or findings["claims"].get("F4")
    if course is not None:
        if course["verdict"] == "not measurable":
            not_told.append(course["text"])
        else:
            told.append(course["text"])
    return {
        "compared": _compared(findings),
        "findings": told,
        "sure": _sure(findings, preserved),
        "not_measurable": not_told,
    }


def _compared(findings: Json) -> str:
    study, roles, models = findings["study"], findings["roles"], findings["models"]
    thing = _THINGS[study["modality"]]

    def right(name: str) -> str:
        accuracy = models[name]["accuracy"]
        return f"{name} is right in {_percent(accuracy['mean'])}"

    names = [roles["before"], roles["after"]] + ([roles["control"]] if roles["control"] else [])
    text = f"{roles['before']} was compared with {roles['after']}"
    if roles["control"]:
        text += f", and with {roles['control']}, which did not begin as {roles['before']} did"
    return (
        f"{text}. Each was asked about the same {study['n_samples']} {thing}s while parts of them were hidden, and "
        f"what the parts do together was read off the answers. On held-out {thing}s "
        f"{', '.join(right(name) for name in names)}."
    )


def _preserved(share: Json, before: str, after: str) -> str:
    if share["low"] <= 0:
        return (
            f"{after} has no more in common with {before} than two unrelated models would "
            f"({_interval(share)} of what can be read)."
        )
    return (
        f"Of what can be read of {before}, {after} still has {_interval(share)}; the rest it does otherwise."
    )


def _relearned(share: Json, control: str, after: str) -> str:
    if share["low"] <= 0:
        return f"{control} has found none of what {after} kept, as far as can be told ({_interval(share)})."
    return f"Of what {after} kept, {control} has found {_interval(share)} by itself."


def _sure(findings: Json, share: Json) -> list[str]:
    said = [
        "0% is what unrelated models have in common by chance, 100% what two readings of one and the same model have. "
        f"In brackets: the range that holds the true figure in 95 of 100 such studies of {share['n']} samples"
        + (f" and {share['seeds']} training runs." if share["seeds"] > 1 else ".")
    ]
    if share["p"] is not None and not share["reason"]:
        rare = (
            "less than once in 1,000 times"
            if share["p"] < 1e-3
            else f"in {_percent(share['p'], 1)} of all cases"
        )
        said.append(f"By accident so much would be in common {rare}.")
    if share["seeds"] == 1:
        said.append("These figures come from one training run of each model; another run gives others.")
    held_out = findings.get("faithfulness", {}).get("held_out", {})
    explained = [one["r2"]["mean"] for one in held_out.values() if one["r2"]["mean"] is not None]
    if explained:
        said.append(
            f"What was read predicts {_percent(min(explained))} to {_percent(max(explained))} of how the models' "
            "answers change when other parts are hidden; the rest was not read."
        )
    return said


def _interval(share: Json) -> str:
    return f"{_percent(share['corrected'])} [{_percent(share['low'])}, {_percent(share['high'])}]"


def _percent(x: Any, digits: int = 0) -> str:
    return "an unknown share" if x is None else f"{100 * x:.{digits}f}%"
