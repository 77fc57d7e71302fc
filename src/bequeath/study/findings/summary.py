"""The results in plain sentences without terms of ours, for the top of page and terminal."""

from __future__ import annotations

from typing import Any

from bequeath.study.findings.plain import Json

_NOUNS = {"image": "picture", "text": "text", "table": "row"}


def summary(findings: Json) -> Json:
    """The entry ``summary`` of the findings, from all other entries.

    Returns
    -------
    dict
        ``compared``: a text; ``findings``: up to three sentences; ``sure``: texts on how reliable they are;
        ``not_measurable``: texts on what could not be measured, with the reason.
    """
    roles, shares, claims = findings["roles"], findings["knowledge"]["shares"], findings["claims"]
    before, after, control = roles["before"], roles["after"], roles["control"]
    preserved, relearned = shares["preserved"], shares.get("relearned")
    sentences, not_measurable = [], []
    if preserved["reason"]:
        not_measurable.append(f"How much of {before} is left in {after}: {preserved['reason']}.")
    else:
        sentences.append(_preserved(preserved, before, after))
    if relearned is not None and control is not None:
        if relearned["reason"]:
            not_measurable.append(f"How much of that {control} learned by itself: {relearned['reason']}.")
        else:
            sentences.append(_relearned(relearned, control, after))
    for name, sentence, subject in (
        ("F3", _course, "Who learns earlier and more steadily"),
        ("F4", _turnover, "Whether training removes noise"),
    ):
        if name not in claims:
            continue
        if claims[name]["verdict"] == "not measurable":
            not_measurable.append(f"{subject}: {claims[name]['text']}")
        elif len(sentences) < 3:
            sentences.append(sentence(findings))
    return {
        "compared": _compared(findings),
        "findings": sentences,
        "sure": _sure(findings, preserved),
        "not_measurable": not_measurable,
    }


def _compared(findings: Json) -> str:
    study, roles, models = findings["study"], findings["roles"], findings["models"]
    noun = _NOUNS[study["modality"]]
    names = [roles["before"], roles["after"]] + ([roles["control"]] if roles["control"] else [])
    first, *right = [_percent(models[name]["accuracy"]["mean"]) for name in names]
    others = " and ".join(f"{name} {share}" for name, share in zip(names[1:], right, strict=True))
    tested = max(models[name]["accuracy"]["n"] for name in names)
    text = f"{roles['after']} was compared with {roles['before']}"
    if roles["control"]:
        text += f", and both with {roles['control']}, which did not start from {roles['before']}"
    subject = "All models" if roles["control"] else "Both models"
    return (
        f"{text}. {subject} classified the same {study['n_samples']} {noun}s many times, each time with other parts "
        "hidden. Their answers show which parts they use together, and how strongly. This is the knowledge that is "
        f"compared here. Of {tested} test {noun}s, {names[0]} gets {first} right, {others}."
        + _flips(findings.get("forgotten"), roles["before"], roles["after"])
    )


def _flips(forgotten: Json | None, before: str, after: str) -> str:
    """The flips of one run; empty for pooled runs, which have no flips in common."""
    if forgotten is None or not (forgotten["forgotten"] or forgotten["learned"]):
        return ""
    return (
        f" {after} has forgotten {forgotten['forgotten']} of them (right by {before}, wrong by {after}) and learned "
        f"{forgotten['learned']} (wrong by {before}, right by {after})."
    )


def _preserved(share: Json, before: str, after: str) -> str:
    if not share["above_chance"]:
        return (
            f"{after} shares no more with {before} than unrelated models share, as far as these samples show "
            f"({_interval(share)} of what can be read)."
        )
    # The models need not descend from each other, so nothing is called kept or lost here.
    return (
        f"{after} has {_interval(share)} of what can be read of {before}. The rest is not in it, or differs."
    )


def _relearned(share: Json, control: str, after: str) -> str:
    if not share["above_chance"]:
        return (
            f"{control} has not learned by itself what {after} kept, as far as these samples show "
            f"({_interval(share)})."
        )
    return f"{control} has also learned, by itself, {_interval(share)} of what {after} kept."


def _course(findings: Json) -> str:
    """Which model learns earlier, and which more steadily; says so if it is not clear."""
    roles, dynamics = findings["roles"], findings["dynamics"]
    after, control, lead = roles["after"], roles["control"], dynamics["lead"]
    earlier = _sign(lead["area"])
    steadier = _sign(lead["dropped"])
    approach = {
        1: f"In training, {after} approaches its final knowledge earlier than {control}",
        -1: f"In training, {after} approaches its final knowledge later than {control}",
        0: f"In training, neither {after} nor {control} clearly approaches its final knowledge earlier",
    }[earlier]
    dropped = [_percent(dynamics["courses"][name]["dropped"]["mean"]) for name in (after, control)]
    drop = {1: "loses less", -1: "loses more", 0: "loses about as much"}[steadier]
    joined = "but" if earlier and steadier and earlier != steadier else "and"
    subject = after if not earlier else "it"
    return f"{approach}, {joined} {subject} {drop} of what it learned on the way ({dropped[0]} against {dropped[1]})."


def _turnover(findings: Json) -> str:
    after = findings["roles"]["after"]
    return {
        "supported": f"The training of {after} first removed mostly noise, and later added noise.",
        "contradicted": f"The training of {after} did not first remove noise and then add it.",
        "undecided": f"It is open whether the training of {after} first removed noise and then added it.",
    }[findings["claims"]["F4"]["verdict"]]


def _sign(estimate: Json) -> int:
    """1 if the interval lies above 0, -1 if it lies below 0, else 0."""
    if estimate["low"] is None:
        return 0
    return int(estimate["low"] > 0) - int(estimate["high"] < 0)


def _sure(findings: Json, share: Json) -> list[str]:
    noun = _NOUNS[findings["study"]["modality"]]
    texts = []
    if not share["reason"]:
        runs = f" and {share['seeds']} training runs" if share["seeds"] > 1 else ""
        texts.append(
            "0% is what unrelated models share by chance. 100% is what a model shares with itself when it is read a "
            "second time. The range in brackets holds the true figure in 95 of 100 such studies (this one has "
            f"{share['n']} {noun}s{runs})."
        )
        if share["p"] is not None:
            rare = "fewer than 1 in 1,000" if share["p"] < 1e-3 else f"{_percent(share['p'], 1)}"
            texts.append(
                f"If the {noun}s of one model are shuffled, {rare} of the shuffles share as much by chance."
            )
    if share["seeds"] == 1:
        texts.append("These figures come from one training run per model. Another run gives others.")
    held_out = findings.get("faithfulness", {}).get("held_out", {})
    explained = [r2 for reading in held_out.values() if (r2 := reading["r2"]["mean"]) is not None]
    if explained:
        least, most = _percent(min(explained)), _percent(max(explained))
        span = least if least == most else f"{least} to {most}"
        texts.append(
            f"The interactions that were read predict {span} of how the answers change when other parts are hidden. "
            "The rest was not read."
        )
    return texts


def _interval(share: Json) -> str:
    return f"{_percent(share['corrected'])} [{_percent(share['low'])}, {_percent(share['high'])}]"


def _percent(x: Any, digits: int = 0) -> str:
    return "an unknown share" if x is None else f"{100 * x:.{digits}f}%"
