"""Recommends which candidate to fine-tune first. It claims no more than the paired intervals support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bequeath.errors import few
from bequeath.knowledge.paired import Ranking, paired_difference, ranking
from bequeath.rank.measures import ABOUT, Measured, about
from bequeath.report.text import number, percent, points


def recommend(
    measured: Mapping[str, Measured], labels: Any, parameters: Mapping[str, int]
) -> tuple[Ranking, dict[str, Any]]:
    """Rank candidates by the linear probe, and recommend one.

    Parameters
    ----------
    measured : mapping of str to Measured
        By the candidate's name.
    labels : ndarray
        int64, (samples,).
    parameters : mapping of str to int
        Number of parameters without the head, by the candidate's name.

    Returns
    -------
    Ranking
    dict
        ``choice``: the recommended candidate's name, or None if no candidate is clearly the best; ``not_apart``: those
        that are not clearly behind the first; ``better_than_chance``: whether the first is; ``measure``; ``text``:
        sentences.
    """
    ranked = ranking({name: candidate.correct for name, candidate in measured.items()})
    first = ranked.order[0]
    in_largest_class = np.asarray(labels) == np.bincount(labels).argmax()
    # Corrected for the choice: the best of several exceeds the chance level by luck more often than a single one.
    skill = paired_difference(measured[first].correct, in_largest_class, len(measured))
    useful, clear = skill.low > 0, not ranked.not_apart
    text = [_best(first, measured)]
    if not useful:
        text.append(
            f"No candidate is recommended: {first} is not clearly better than always naming the largest class "
            f"({_difference(skill)})."
        )
    else:
        text.append(_against_next(ranked, clear))
        text.append(_advice(ranked, parameters))
    text.append(_agreement(measured, first))
    text.append(
        "Intervals are 95% intervals over these samples. Those of differences hold jointly for all comparisons with "
        "the first candidate. All measures are of frozen features: fine-tuning can change the order, and so can other "
        "samples."
    )
    return ranked, {
        "choice": first if useful and clear else None,
        "not_apart": list(ranked.not_apart),
        "better_than_chance": useful,
        "measure": "probe",
        "text": text,
    }


def _best(first: str, measured: Mapping[str, Measured]) -> str:
    probe = measured[first].measures["probe"]
    return (
        f"The linear probe on {first} is right in {percent(probe.value)} [{percent(probe.low)}, {percent(probe.high)}] "
        f"of {probe.n} samples, the best of {len(measured)} candidates; always naming the largest class is right in "
        f"{percent(probe.reference)}."
    )


def _difference(difference: Any) -> str:
    ends = f"[{points(difference.low)}, {points(difference.high)}]"
    return f"{points(difference.mean)} points {ends} on the same {difference.n} samples"


def _against_next(ranked: Ranking, clear: bool) -> str:
    first, second = ranked.order[:2]
    verdict = "clearly ahead of" if ranked.behind[second].low > 0 else "not clearly ahead of"
    sentence = f"{first} is {verdict} the next, {second}: {_difference(ranked.behind[second])}."
    if not clear and ranked.behind[second].low > 0:
        # A larger difference, to a candidate further behind, can have a wider interval.
        sentence += f" It is not clearly ahead of {few(ranked.not_apart)}."
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
        f"These samples do not show which of {few(possible)} is the best; the smallest of them is {smallest} ({size}). "
        "Fine-tune several of them, or rank on more samples."
    )


def _agreement(measured: Mapping[str, Measured], first: str) -> str:
    """Which candidate each of the other measures puts first."""
    tops: dict[str, list[str]] = {}
    names = next(iter(measured.values())).measures
    titles = {name: text["title"] for name, text in about(set(names) - set(ABOUT)).items() if name != "probe"}
    for measure, title in titles.items():
        values = {name: candidate.measures[measure].value for name, candidate in measured.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) == len(values):  # a measure that some candidates lack cannot rank them
            top = max(known, key=lambda name: known[name])
            tops.setdefault(top, []).append(title)
    if not tops:
        return "No other measure has a value for all candidates."
    if list(tops) == [first]:
        return f"The other measures also put {first} first: {', '.join(tops[first])}."
    parts = [f"{', '.join(titles)}: {name}" for name, titles in tops.items()]
    return f"First by the other measures, going by their values alone: {'; '.join(parts)}."
