"""The claims of arXiv 2410.08455, judged on a comparison's own figures (METHOD 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bequeath.knowledge.bounds import Identifiability
from bequeath.knowledge.dynamics import Dynamics, lead
from bequeath.knowledge.shares import Readings, Share, Strengths
from bequeath.knowledge.statistics import Estimate

# What "small" means: less than half.
_SMALL = 0.5
# Differences of shares below this are rounding, not findings.
_ROUNDING = 1e-9
# Checkpoints that a run needs for one to speak of a course.
LEAST_CHECKPOINTS = 3


@dataclass(frozen=True)
class Claim:
    """What became of a claim.

    Attributes
    ----------
    verdict : {"supported", "contradicted", "undecided"}
    text : str
        One or two sentences with the figures.
    rule : str
        How the verdict is reached.
    """

    verdict: str
    text: str
    rule: str


def judge(
    readings: Readings,
    bounds: Identifiability | None = None,
    courses: Mapping[str, Dynamics] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Claim]:
    """F1, and, where there is a control, F2 and F3; of one comparison, or of several seeds together.

    Parameters
    ----------
    readings : Readings
        The comparison read in several ways, which must agree.
    bounds : Identifiability, optional
        Of the preserved share, in the units of `readings.strengths`: F1 must hold for every equally sparse split.
    courses : mapping of str to Dynamics, optional
        By role, the runs that were followed; F3 needs those of ``after`` and ``control``.
    names : mapping of str to str, optional
        What the text calls the models, by role.
    """
    called = {"before": "before", "after": "after", "control": "control", **(names or {})}
    found = {"F1": _f1(readings, bounds, called)}
    if "control" in readings.strengths.by_order:
        found["F2"] = _f2(readings, called)
        found["F3"] = _f3(courses or {}, called)
    return found


def _f1(readings: Readings, bounds: Identifiability | None, called: Mapping[str, str]) -> Claim:
    def by(strengths: Strengths) -> tuple[str, str]:
        return _small(strengths.share("preserved")), _above_zero(strengths.fall_with_order())

    share, fall = readings.strengths.share("preserved"), readings.strengths.fall_with_order()
    low, falls = by(readings.strengths)
    small, range_ = _determined(low, bounds)
    others = (_both(*by(other)) for other in (readings.by_and, readings.scaled, readings.raw))
    verdict, note = _agreed(_both(small, falls), *others)
    return Claim(
        verdict,
        f"{called['after']} preserved {_percent(share)} of the strength of {called['before']}'s interactions"
        f"{_by_chance(share)}; the preserved share at low orders is {_signed(fall, 100, 0)} points above that at high "
        f"orders (a minus sign: below).{range_}{note}",
        "Supported if the preserved share is below one half (for every equally sparse split, where bounds were asked "
        "for) and falls from the lower to the upper half of the orders, both with their 95% intervals, by AND "
        "interactions alone, on each model's own scale and in raw units alike.",
    )


def _f2(readings: Readings, called: Mapping[str, str]) -> Claim:
    def by(strengths: Strengths) -> str:
        return _small(strengths.share("relearned"))

    share = readings.strengths.share("relearned")
    if not np.isfinite(share.observed):
        return Claim("undecided", "Nothing was preserved, so nothing to relearn.", "")
    others = (by(other) for other in (readings.by_and, readings.scaled, readings.raw))
    verdict, note = _agreed(by(readings.strengths), *others)
    return Claim(
        verdict,
        f"{called['control']} found {_percent(share)} of the preserved knowledge too{_by_chance(share)} (R; the paper "
        f"reports 13% to 45%).{note}",
        "Supported if R is below one half with its 95% interval, by AND interactions alone, on each model's own scale "
        "and in raw units alike.",
    )


def _f3(courses: Mapping[str, Dynamics], called: Mapping[str, str]) -> Claim:
    rule = (
        "Supported if, paired on samples (and seeds), the model after has both the larger area under its similarity "
        "curve over log steps (earlier) and the smaller share of strength learned and later dropped (steadier), with "
        "their 95% intervals; contradicted if either is the other way round with its interval. p: two-sided sign-flip "
        "test over samples."
    )
    if not {"after", "control"} <= courses.keys():
        return Claim(
            "undecided", f"Not judged: both runs need at least {LEAST_CHECKPOINTS} checkpoints.", rule
        )
    ahead = lead(courses["after"], courses["control"])
    return Claim(
        _both(_above_zero(ahead.area), _above_zero(ahead.dropped)),
        f"Over its course (area under the similarity to its own final knowledge) {called['after']} is "
        f"{_signed(ahead.area, 1, 2)} ahead of {called['control']} ({_p(ahead.area_p)}); of what each learned, it "
        f"later dropped {_signed(ahead.dropped, 100, 0)} points less (a minus sign: more; {_p(ahead.dropped_p)}).",
        rule,
    )


def _small(share: Share) -> str:
    if share.high < _SMALL:
        return "supported"
    return "contradicted" if share.low > _SMALL else "undecided"


def _above_zero(e: Estimate) -> str:
    if e.low > _ROUNDING:
        return "supported"
    return "contradicted" if e.high < -_ROUNDING else "undecided"


def _both(*verdicts: str) -> str:
    """Supported if all are; contradicted if any is; else undecided."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if set(verdicts) == {"supported"} else "undecided"


def _agreed(verdict: str, by_and: str, scaled: str, raw: str) -> tuple[str, str]:
    """A verdict that another reading does not share is no verdict."""
    if verdict == by_and == scaled == raw:
        return verdict, " AND interactions alone, each model's own scale and raw units all agree."
    return (
        "undecided",
        f" (By this reading: {verdict}; by AND alone: {by_and}; on each model's own scale: {scaled}; in raw units: "
        f"{raw}; so undecided.)",
    )


def _determined(verdict: str, bounds: Identifiability | None) -> tuple[str, str]:
    """A verdict on smallness that does not hold for every equally sparse split is no verdict."""
    if bounds is None or not np.isfinite(bounds.least.mean):
        return verdict, ""
    least, greatest = bounds.least.mean, bounds.greatest.mean
    text = (
        f" Over all splits within {100 * bounds.slack:g}% of the sparsest the share is between "
        f"{100 * least:.0f}% and {100 * greatest:.0f}%"
    )
    open_ = (verdict == "supported" and greatest >= _SMALL) or (verdict == "contradicted" and least <= _SMALL)
    return ("undecided", text + ", so undecided.") if open_ else (verdict, text + ".")


def _percent(share: Share) -> str:
    return f"{100 * share.observed:.0f}% [{100 * share.low:.0f}%, {100 * share.high:.0f}%]"


def _by_chance(share: Share) -> str:
    if share.floor is None:
        return ""
    return f" (interactions of other samples: {100 * share.floor:.0f}%)"


def _signed(e: Estimate, scale: float, digits: int) -> str:
    mean, low, high = (f"{scale * x:+.{digits}f}" for x in (e.mean, e.low, e.high))
    return f"{mean} [{low}, {high}]"


def _p(p: float) -> str:
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"
