"""Verdicts on the claims of arXiv 2410.08455 and 2605.17967, from the corrected figures of a comparison.

Source: docs/method.md, section "Claims".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bequeath.knowledge.dynamics import Dynamics, lead
from bequeath.knowledge.identifiability import Identifiability
from bequeath.knowledge.share import Share
from bequeath.knowledge.shares import Strengths
from bequeath.knowledge.statistics import Estimate
from bequeath.knowledge.verdicts import (
    CONTRADICTED,
    NOT_MEASURABLE,
    SUPPORTED,
    UNDECIDED,
    above_zero,
    all_supported,
    below_zero,
    flipped,
    little,
    paper_verdict,
)

# Fewest checkpoints of a run whose course is judged.
LEAST_CHECKPOINTS = 3


@dataclass(frozen=True)
class Readings:
    """One comparison read in several ways.

    Attributes
    ----------
    strengths : Strengths
        By the decomposition and the scale that the user asked for. The verdicts are based on these.
    others : dict of str to Strengths
        By other decompositions or scales, for comparison: ``and``, ``raw``, ``own scale``, ``exact``, ``paper``,
        ``sparse``.
    """

    strengths: Strengths
    others: dict[str, Strengths] = field(default_factory=dict)

    @classmethod
    def stacked(cls, seeds: Sequence[Readings]) -> Readings:
        """Join the readings of several seeds. Other readings are kept if all seeds have them."""
        names = [name for name in seeds[0].others if all(name in seed.others for seed in seeds)]
        return cls(
            Strengths.stacked([seed.strengths for seed in seeds]),
            {name: Strengths.stacked([seed.others[name] for seed in seeds]) for name in names},
        )


@dataclass(frozen=True)
class Claim:
    """The verdict on a claim.

    Attributes
    ----------
    verdict : {"supported", "contradicted", "undecided", "not measurable"}
    text : str
        One or two sentences with the figures.
    rule : str
        The rule for the verdict.
    differs : dict of str to str
        Other readings whose verdict differs: their verdict and the reason, by reading.
    """

    verdict: str
    text: str
    rule: str
    differs: dict[str, str] = field(default_factory=dict)


def judge(
    readings: Readings,
    bounds: Identifiability | None = None,
    courses: Mapping[str, Dynamics] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Claim]:
    """Judge the claims: F1 always, F2 and F3 with a control, F4 with the course of the model after.

    Parameters
    ----------
    readings : Readings
        Of one comparison, or of several seeds together.
    bounds : Identifiability, optional
        Bounds on the preserved share of the exact reading; they are stated beside F1.
    courses : mapping of str to Dynamics, optional
        Training courses by role. F3 needs ``after`` and ``control``, F4 needs ``after``.
    names : mapping of str to str, optional
        Names of the models in the text, by role.

    Returns
    -------
    dict of str to Claim
        By the name of the claim, ``F1`` to ``F4``.
    """
    called = {"before": "before", "after": "after", "control": "control", **(names or {})}
    claims = {"F1": _f1(readings, bounds, called)}
    if "relearned" in readings.strengths.measures:
        claims["F2"] = _f2(readings, called)
        claims["F3"] = _f3(readings.strengths, courses or {}, called)
    if "after" in (courses or {}):
        claims["F4"] = _f4(readings.strengths, (courses or {})["after"], called)
    return claims


_F1_RULE = (
    "Supported if the corrected preserved share is below one half and the corrected share of the lower half of the "
    "orders is above that of the upper half, both with their 95% intervals. Contradicted if either is the other way "
    "round with its interval. Not measurable where the share is not."
)


def _f1(readings: Readings, bounds: Identifiability | None, called: Mapping[str, str]) -> Claim:
    share, fall = readings.strengths.share("preserved"), readings.strengths.fall_with_order()
    after, before = called["after"], called["before"]
    differs = _differing(readings, "preserved", share)
    if share.reason:
        return Claim(
            NOT_MEASURABLE,
            f"What {after} preserved of {before} is not measurable: {share.reason}.",
            _F1_RULE,
            differs,
        )
    amount_verdict, falls = little(share), above_zero(fall)
    verdict = all_supported(amount_verdict, falls)
    amount = {
        SUPPORTED: "Little is preserved",
        CONTRADICTED: "Much is preserved",
        UNDECIDED: "Whether little or much is preserved is open",
    }[amount_verdict]
    orders = {
        SUPPORTED: "of high orders less than of low ones",
        CONTRADICTED: "of high orders more than of low ones",
        UNDECIDED: "whether less of high orders than of low ones is open",
    }[falls]
    by = f" (low less high orders: {_signed(fall, 100, 0)} points)"
    if not np.isfinite(fall.mean):
        orders, by = (
            "whether less of high orders than of low ones is not measurable",
            ": one half of the orders is too weak",
        )
    joint = ", but " if verdict == UNDECIDED and amount_verdict == SUPPORTED else "; "
    share_is = f"{after} has {_corrected(share)} of what can be read of {before}"
    text = f"{amount}{joint}{orders}: {share_is}{by}."
    if bounds is not None and np.isfinite(bounds.least.mean):
        text += (
            f" Over all exact splits within {100 * bounds.slack:g}% of the sparsest, the observed share is between "
            f"{100 * bounds.least.mean:.0f}% and {100 * bounds.greatest.mean:.0f}%."
        )
    return Claim(verdict, text, _F1_RULE, differs)


_F2_RULE = (
    "Supported if the corrected R is below one half with its 95% interval, contradicted if it is above. Not measurable "
    "where R is not: nothing is preserved above chance, or the control is not better than naming the largest class."
)


def _f2(readings: Readings, called: Mapping[str, str]) -> Claim:
    share = readings.strengths.share("relearned")
    differs = _differing(readings, "relearned", share)
    control = called["control"]
    if share.reason:
        return Claim(
            NOT_MEASURABLE,
            f"How much of it {control} also has is not measurable: {share.reason}.",
            _F2_RULE,
            differs,
        )
    verdict = little(share)
    amount = {
        SUPPORTED: f"{control} finds little of what is preserved",
        CONTRADICTED: f"{control} finds most of what is preserved, too",
        UNDECIDED: f"It is open whether {control} finds little or much of what is preserved",
    }[verdict]
    return Claim(
        verdict,
        f"{amount}: {_corrected(share)} (the paper reports R of 13% to 45%, uncorrected).",
        _F2_RULE,
        differs,
    )


_F3_RULE = (
    "Supported if, paired on samples (and seeds), the model after has both the larger area under its corrected "
    "similarity curve over log steps (earlier) and the smaller share of strength learned and later dropped (steadier), "
    "with their 95% intervals; contradicted if either is the other way round. p: two-sided, the runs swapped at random "
    "sample by sample. Not measurable where one of the two models is not."
)


def _f3(strengths: Strengths, courses: Mapping[str, Dynamics], called: Mapping[str, str]) -> Claim:
    after, control = called["after"], called["control"]
    reasons = [
        strengths.not_measurable[role] for role in ("after", "control") if role in strengths.not_measurable
    ]
    if reasons:
        return Claim(NOT_MEASURABLE, f"The courses cannot be compared: {'; '.join(reasons)}.", _F3_RULE)
    if not {"after", "control"} <= courses.keys():
        return Claim(
            NOT_MEASURABLE, f"Not judged: both runs need at least {LEAST_CHECKPOINTS} checkpoints.", _F3_RULE
        )
    ahead = lead(courses["after"], courses["control"])
    if not np.isfinite(ahead.area.low):
        return Claim(
            NOT_MEASURABLE, "The courses cannot be compared: their similarity is not above chance.", _F3_RULE
        )
    earlier, steadier = above_zero(ahead.area), above_zero(ahead.dropped)
    words = {
        SUPPORTED: ("earlier", "more steadily"),
        CONTRADICTED: ("later", "less steadily"),
        UNDECIDED: ("neither clearly earlier nor later", "neither clearly more nor less steadily"),
    }
    more, less, drop = control, after, ahead.dropped
    if drop.mean < 0:
        more, less, drop = after, control, replace(drop, mean=-drop.mean, low=-drop.high, high=-drop.low)
    return Claim(
        all_supported(earlier, steadier),
        f"{after} gets to its own final knowledge {words[earlier][0]} than {control} "
        f"(area {_signed(ahead.area, 1, 2)}; {_p(ahead.area_p)}), and {words[steadier][1]}: of what each learned, "
        f"{more} later dropped {_signed(drop, 100, 0)} points more than {less} ({_p(ahead.dropped_p)}).",
        _F3_RULE,
    )


_F4_RULE = (
    "Supported if, in the first half of the run (in log steps), what is removed is less reliable and cancels more than "
    "what is added, and what is added in the second half is less reliable than what was added in the first, all with "
    "their 95% intervals; contradicted if one of the two reliabilities is the other way round. Reliability: how much "
    "of it the other half of the masks finds, beyond chance. Not measurable without halves."
)


def _f4(strengths: Strengths, course: Dynamics, called: Mapping[str, str]) -> Claim:
    after = called["after"]
    if "after" in strengths.not_measurable:
        return Claim(NOT_MEASURABLE, f"Not measurable: {strengths.not_measurable['after']}.", _F4_RULE)
    if course.turnover is None:
        text = "Exact readings have no halves of the masks, so the reliability of an interaction is not measurable."
        return Claim(NOT_MEASURABLE, text, _F4_RULE)
    changes = course.turnover
    noisy = changes.less_reliable(("removed", True), ("added", True))
    cancels = changes.more_cancelling(("removed", True), ("added", True))
    later = changes.less_reliable(("added", False), ("added", True))
    if not all(np.isfinite(e.mean) for e in (noisy, cancels, later)):
        return Claim(NOT_MEASURABLE, "Too little changes between the checkpoints.", _F4_RULE)
    verdicts = [below_zero(e) for e in (noisy, cancels, later)]
    opposite = CONTRADICTED in (verdicts[0], verdicts[2])
    verdict = CONTRADICTED if opposite else SUPPORTED if set(verdicts) == {SUPPORTED} else UNDECIDED
    words = {SUPPORTED: "less", CONTRADICTED: "more", UNDECIDED: "neither clearly less nor more"}
    return Claim(
        verdict,
        f"At first {after} removes interactions that are {words[verdicts[0]]} reliable than those it adds "
        f"({_signed(noisy, 100, 0)} points) and that cancel {words[flipped(verdicts[1])]} "
        f"({_signed(cancels, 100, 0)} points of what is left of them in the sum); what it adds later is "
        f"{words[verdicts[2]]} reliable than what it added at first ({_signed(later, 100, 0)} points).",
        _F4_RULE,
    )


def _differing(readings: Readings, name: str, share: Share) -> dict[str, str]:
    """Verdicts of the other readings that differ from this one, with the reason."""
    verdict = NOT_MEASURABLE if share.reason else little(share)
    differing = {}
    for reading, strengths in readings.others.items():
        other = strengths.share(name)
        exact = reading in ("exact", "paper")
        others_verdict = (
            paper_verdict(other.observed) if exact else NOT_MEASURABLE if other.reason else little(other)
        )
        if others_verdict == verdict:
            continue
        text = f"{others_verdict}: {100 * other.observed:.0f}% observed"
        if other.floor is not None:
            text += f", where interactions of other samples share {100 * other.floor:.0f}%"
        if exact:
            text += "; an exact reading has no ceiling, and most of what it measures is noise, which no model shares"
        elif other.reason:
            text += f"; {other.reason}"
        else:
            text += f"; {_corrected(other)} corrected"
        differing[reading] = text
    return differing


def _corrected(share: Share) -> str:
    assert share.corrected is not None
    return f"{100 * share.corrected:.0f}% [{100 * share.low:.0f}%, {100 * share.high:.0f}%]"


def _signed(e: Estimate, scale: float, digits: int) -> str:
    mean, low, high = (f"{scale * x:+.{digits}f}" for x in (e.mean, e.low, e.high))
    return f"{mean} [{low}, {high}]"


def _p(p: float) -> str:
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"
