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
    roles, shares, claims = findings["roles"], findings["knowledge"]["shares"], findings["claims"]
    before, after, control = roles["before"], roles["after"], roles["control"]
    preserved, relearned = shares["preserved"], shares.get("relearned")
    told, not_told = [], []
    if preserved["reason"]:
        not_told.append(f"How much of {before} is left in {after}: {preserved['reason']}.")
    else:
        told.append(_preserved(preserved, before, after))
    if relearned is not None and control is not None:
        if relearned["reason"]:
            not_told.append(f"How much of that {control} learned by itself: {relearned['reason']}.")
        else:
            told.append(_relearned(relearned, control, after))
    for name, sentence, subject in (
        ("F3", _course, "Who learns earlier and more steadily"),
        ("F4", _turnover, "Whether training removes noise"),
    ):
        if name not in claims:
            continue
        if claims[name]["verdict"] == "not measurable":
            not_told.append(f"{subject}: {claims[name]['text']}")
        elif len(told) < 3:
            told.append(sentence(findings))
    return {
        "compared": _compared(findings),
        "findings": told,
        "sure": _sure(findings, preserved),
        "not_measurable": not_told,
    }


def _compared(findings: Json) -> str:
    study, roles, models = findings["study"], findings["roles"], findings["models"]
    thing = _THINGS[study["modality"]]
    names = [roles["before"], roles["after"]] + ([roles["control"]] if roles["control"] else [])
    first, *right = [_percent(models[name]["accuracy"]["mean"]) for name in names]
    others = " and ".join(f"{name} {share}" for name, share in zip(names[1:], right, strict=True))
    tested = max(models[name]["accuracy"]["n"] for name in names)
    text = f"{roles['after']} was compared with {roles['before']}"
    if roles["control"]:
        text += f", and both with {roles['control']}, which did not start from {roles['before']}"
    every = "All" if roles["control"] else "Both"
    return (
        f"{text}. {every} of them classified the same {study['n_samples']} {thing}s many times, each time with other "
        "parts hidden. Their answers show which parts they use together, and how strongly: that is the knowledge "
        f"compared here. Of {tested} test {thing}s, {names[0]} gets {first} right, {others}."
        + _flips(findings.get("forgotten"), roles["before"], roles["after"])
    )


def _flips(forgotten: Json | None, before: str, after: str) -> str:
    """Of one run; pooled ones have their own samples."""
    if forgotten is None or not (forgotten["forgotten"] or forgotten["learned"]):
        return ""
    return (
        f" {after} has forgotten {forgotten['forgotten']} of them, which {before} has right, and learned "
        f"{forgotten['learned']}, which {before} has wrong."
    )


def _preserved(share: Json, before: str, after: str) -> str:
    if not share["above_chance"]:
        return (
            f"{after} has no more of {before} than two unrelated models have in common, as far as can be told "
            f"({_interval(share)} of what can be read)."
        )
    return f"Of what can be read of {before}, {after} has {_interval(share)}, too. The rest is not there, or changed."


def _relearned(share: Json, control: str, after: str) -> str:
    if not share["above_chance"]:
        return (
            f"{control} has learned nothing by itself of what {after} kept, as far as can be told "
            f"({_interval(share)})."
        )
    return f"Of what {after} kept, {control} has learned {_interval(share)} by itself."


def _course(findings: Json) -> str:
    """Who was earlier and steadier; what is not clear is called so."""
    roles, dynamics = findings["roles"], findings["dynamics"]
    after, control, lead = roles["after"], roles["control"], dynamics["lead"]
    earlier = _sign(lead["area"])
    steadier = _sign(lead["dropped"])
    approach = {
        1: f"In training, {after} comes near to its final knowledge earlier than {control}",
        -1: f"In training, {after} comes near to its final knowledge later than {control}",
        0: f"In training, neither {after} nor {control} clearly comes near to its final knowledge earlier",
    }[earlier]
    dropped = [_percent(dynamics["courses"][name]["dropped"]["mean"]) for name in (after, control)]
    drop = {1: "drops less again", -1: "drops more again", 0: "drops about as much again"}[steadier]
    joined = "but" if earlier and steadier and earlier != steadier else "and"
    who = after if not earlier else "it"
    return f"{approach}, {joined} {who} {drop} of what it learned on the way ({dropped[0]} against {dropped[1]})."


def _turnover(findings: Json) -> str:
    after = findings["roles"]["after"]
    return {
        "supported": f"The training of {after} first removed what is mostly noise, and later added noise.",
        "contradicted": f"The training of {after} did not first remove noise and then add it.",
        "undecided": f"Whether the training of {after} first removed noise and then added it is open.",
    }[findings["claims"]["F4"]["verdict"]]


def _sign(estimate: Json) -> int:
    """Where an interval lies: 1 above 0, -1 below, else 0."""
    if estimate["low"] is None:
        return 0
    return int(estimate["low"] > 0) - int(estimate["high"] < 0)


def _sure(findings: Json, share: Json) -> list[str]:
    thing = _THINGS[findings["study"]["modality"]]
    said = []
    if not share["reason"]:
        runs = f" and {share['seeds']} training runs" if share["seeds"] > 1 else ""
        said.append(
            "0% is what unrelated models have in common by chance. 100% is what one and the same model has in common "
            f"with itself when it is read a second time. In brackets: a range that holds the true figure in 95 "
            f"of 100 such studies (this one is of {share['n']} {thing}s{runs})."
        )
        if share["p"] is not None:
            rare = "fewer than 1 in 1,000" if share["p"] < 1e-3 else f"{_percent(share['p'], 1)}"
            said.append(
                f"If the {thing}s of one model are shuffled, {rare} of the shuffles have as much in common by accident."
            )
    if share["seeds"] == 1:
        said.append("These figures come from one training run of each model. Another run gives others.")
    held_out = findings.get("faithfulness", {}).get("held_out", {})
    explained = [one["r2"]["mean"] for one in held_out.values() if one["r2"]["mean"] is not None]
    if explained:
        least, most = _percent(min(explained)), _percent(max(explained))
        span = least if least == most else f"{least} to {most}"
        said.append(
            f"What was read predicts {span} of how the answers change when other parts are hidden. The rest was not "
            "read."
        )
    return said


def _interval(share: Json) -> str:
    return f"{_percent(share['corrected'])} [{_percent(share['low'])}, {_percent(share['high'])}]"


def _percent(x: Any, digits: int = 0) -> str:
    return "an unknown share" if x is None else f"{100 * x:.{digits}f}%"
