"""Which candidate to fine-tune first, why, and how sure that is: no more than the paired intervals say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bequeath.errors import few
from bequeath.knowledge.paired import Ranking, paired_difference, ranking
from bequeath.rank.measures import ABOUT, Measured
from bequeath.report.text import number, percent, points

# What another measure's first place is called in a sentence.
_OTHERS = {name: about["title"] for name, about in ABOUT.items() if name != "probe"}


def recommend(
    measured: Mapping[str, Measured], labels: Any, parameters: Mapping[str, int]
) -> tuple[Ranking, dict[str, Any]]:
    """The ranking by the linear probe, and the advice.

    Parameters
    ----------
    measured : mapping
        Of each candidate.
    labels : ndarray
        (samples,).
    parameters : mapping
        Of each candidate, without its head.

    Returns
    -------
    Ranking
    dict
        ``choice``: the candidate's name, or None where no one is clearly the best; ``not_apart``: those that are not
        clearly behind the first; ``better_than_chance``: whether the first is; ``measure``; ``text``: sentences.
    """
    ranked = ranking({name: one.correct for name, one in measured.items()})
    first = ranked.order[0]
    named = np.asarray(labels) == np.bincount(labels).argmax()
    # The best of several is above chance by luck more often than one alone.
    skill = paired_difference(measured[first].correct, named, len(measured))
    useful, clear = skill.low > 0, not ranked.not_apart
    text = [_best(first, measured)]
    if not useful:
        text.append(
            f"No candidate is recommended: {first} is not clearly better than naming the largest class "
            f"({_apart(skill)})."
        )
    else:
        text.append(_against_next(ranked, clear))
        text.append(_advice(ranked, parameters))
    text.append(_agreement(measured, first))
    text.append(
        "The intervals are 95%, over these samples; those of differences hold for all comparisons with the first "
        "together. All of this is of frozen features: fine-tuning can change the order, and so can other samples."
    )
    return ranked, {
        "choice": first if useful and clear else None,
        "not_apart": list(ranked.not_apart),
        "better_than_chance": useful,
        "measure": "probe",
        "text": text,
    }


def _best(first: str, measured: Mapping[str, Measured]) -> str:
    one = measured[first].measures["probe"]
    return (
        f"The linear probe on {first} is right in {percent(one.value)} [{percent(one.low)}, {percent(one.high)}] of "
        f"{one.n} samples, the best of {len(measured)} candidates; always naming the largest class is right in "
        f"{percent(one.reference)}."
    )


def _apart(difference: Any) -> str:
    ends = f"[{points(difference.low)}, {points(difference.high)}]"
    return f"{points(difference.mean)} points {ends} on the same {difference.n} samples"


def _against_next(ranked: Ranking, clear: bool) -> str:
    first, second = ranked.order[:2]
    told = "clearly ahead of" if ranked.behind[second].low > 0 else "not clearly apart from"
    sentence = f"{first} is {told} the next, {second}: {_apart(ranked.behind[second])}."
    if not clear and ranked.behind[second].low > 0:
        # A smaller difference can be the surer one.
        sentence += f" It is not clearly apart from {few(ranked.not_apart)}."
    return sentence


def _advice(ranked: Ranking, parameters: Mapping[str, int]) -> str:
    first = ranked.order[0]
    if not ranked.not_apart:
        others = "all others are" if len(ranked.behind) > 1 else "the other is"
        return f"Fine-tune {first} first: by the linear probe {others} clearly behind it."
    possible = [first, *ranked.not_apart]
    smallest = min(possible, key=lambda name: parameters[name])
    size = f"{number(parameters[smallest] / 1e6)} million parameters"
    return (
        f"These samples do not say which of {few(possible)} is the best; the smallest of them is {smallest} ({size}). "
        "Fine-tune some of them, or rank on more samples."
    )


def _agreement(measured: Mapping[str, Measured], first: str) -> str:
    """Which candidate each other measure puts first."""
    tops: dict[str, list[str]] = {}
    for name, title in _OTHERS.items():
        values = {who: one.measures[name].value for who, one in measured.items()}
        known = {who: value for who, value in values.items() if value is not None}
        if len(known) == len(values):  # else some were not asked
            top = max(known, key=lambda who: known[who])
            tops.setdefault(top, []).append(title)
    parts = [f"{', '.join(titles)}: {who}" for who, titles in tops.items()]
    if not parts:
        return "No other measure could be had of all candidates."
    same = "too" if list(tops) == [first] else "by value alone"
    return f"First by other measures, {same}: {'; '.join(parts)}."
