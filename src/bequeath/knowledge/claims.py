"""The claims of arXiv 2410.08455 and 2605.17967, judged on a comparison's own corrected figures (METHOD 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bequeath.knowledge.bounds import Identifiability
from bequeath.knowledge.dynamics import Dynamics, lead
from bequeath.knowledge.share import Share
from bequeath.knowledge.shares import Strengths
from bequeath.knowledge.statistics import Estimate

# What "little" means: less than half.
_LITTLE = 0.5
# Differences below this are rounding, not findings.
_ROUNDING = 1e-9
# Checkpoints that a run needs for one to speak of a course.
LEAST_CHECKPOINTS = 3

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURABLE = (
    "supported",
    "contradicted",
    "undecided",
    "not measurable",
)
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURABLE)


@dataclass(frozen=True)
class Readings:
    """One comparison read in several ways.

    Attributes
    ----------
    strengths : Strengths
        By the decomposition and the scale that were asked for: verdicts are of these.
    others : dict of str to Strengths
        By other ones, to be put beside: ``and``, ``raw``, ``own scale``, ``exact``, ``paper``, ``sparse``.
    """

    strengths: Strengths
    others: dict[str, Strengths] = field(default_factory=dict)

    @classmethod
    def stacked(cls, seeds: Sequence[Readings]) -> Readings:
        """Those of several seeds as one; of the others those that all seeds have."""
        names = [name for name in seeds[0].others if all(name in one.others for one in seeds)]
        return cls(
            Strengths.stacked([one.strengths for one in seeds]),
            {name: Strengths.stacked([one.others[name] for one in seeds]) for name in names},
        )


@dataclass(frozen=True)
class Claim:
    """What became of a claim.

    Attributes
    ----------
    verdict : {"supported", "contradicted", "undecided", "not measurable"}
    text : str
        One or two sentences with the figures.
    rule : str
        How the verdict is reached.
    differs : dict of str to str
        Verdicts of other readings that are not the same, and why, by reading.
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
    """F1, F4 where the model after was followed, and, where there is a control, F2 and F3.

    Parameters
    ----------
    readings : Readings
        Of one comparison, or of several seeds together.
    bounds : Identifiability, optional
        Of the preserved share by the exact reading: said beside F1.
    courses : mapping of str to Dynamics, optional
        By role, the runs that were followed; F3 needs those of ``after`` and ``control``, F4 that of ``after``.
    names : mapping of str to str, optional
        What the text calls the models, by role.
    """
    called = {"before": "before", "after": "after", "control": "control", **(names or {})}
    found = {"F1": _f1(readings, bounds, called)}
    if "relearned" in readings.strengths.measures:
        found["F2"] = _f2(readings, called)
        found["F3"] = _f3(readings.strengths, courses or {}, called)
    if "after" in (courses or {}):
        found["F4"] = _f4(readings.strengths, (courses or {})["after"], called)
    return found


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
            f"What {after} preserved of {before} cannot be told: {share.reason}.",
            _F1_RULE,
            differs,
        )
    little, falls = _little(share), _above_zero(fall)
    verdict = _both(little, falls)
    amount = {
        SUPPORTED: "Little is preserved",
        CONTRADICTED: "Much is preserved",
        UNDECIDED: "Whether little or much is preserved is open",
    }[little]
    orders = {
        SUPPORTED: "of high orders less than of low ones",
        CONTRADICTED: "of high orders more than of low ones",
        UNDECIDED: "whether less of high orders than of low ones is open",
    }[falls]
    by = f" (low less high orders: {_signed(fall, 100, 0)} points)"
    if not np.isfinite(fall.mean):
        orders, by = (
            "whether less of high orders than of low ones cannot be told",
            ": one half of them is too weak",
        )
    joint = ", but " if verdict == UNDECIDED and little == SUPPORTED else "; "
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
            f"What {control} found of it, too, cannot be told: {share.reason}.",
            _F2_RULE,
            differs,
        )
    verdict = _little(share)
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
    earlier, steadier = _above_zero(ahead.area), _above_zero(ahead.dropped)
    words = {
        SUPPORTED: ("earlier", "more steadily"),
        CONTRADICTED: ("later", "less steadily"),
        UNDECIDED: ("neither clearly earlier nor later", "neither clearly more nor less steadily"),
    }
    more, less, drop = control, after, ahead.dropped
    if drop.mean < 0:
        more, less, drop = after, control, replace(drop, mean=-drop.mean, low=-drop.high, high=-drop.low)
    return Claim(
        _both(earlier, steadier),
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
        return Claim(NOT_MEASURABLE, f"It cannot be told: {strengths.not_measurable['after']}.", _F4_RULE)
    if course.turnover is None:
        text = "Exact readings have no halves of the masks, so how reliable an interaction is cannot be told."
        return Claim(NOT_MEASURABLE, text, _F4_RULE)
    changes = course.turnover
    noisy = changes.less_reliable(("removed", True), ("added", True))
    cancels = changes.more_cancelling(("removed", True), ("added", True))
    later = changes.less_reliable(("added", False), ("added", True))
    if not all(np.isfinite(e.mean) for e in (noisy, cancels, later)):
        return Claim(NOT_MEASURABLE, "Too little changes between the checkpoints to be told.", _F4_RULE)
    verdicts = [_below_zero(e) for e in (noisy, cancels, later)]
    opposite = CONTRADICTED in (verdicts[0], verdicts[2])
    verdict = CONTRADICTED if opposite else SUPPORTED if set(verdicts) == {SUPPORTED} else UNDECIDED
    words = {SUPPORTED: "less", CONTRADICTED: "more", UNDECIDED: "neither clearly less nor more"}
    return Claim(
        verdict,
        f"At first {after} removes interactions that are {words[verdicts[0]]} reliable than those it adds "
        f"({_signed(noisy, 100, 0)} points) and that cancel {words[_flipped(verdicts[1])]} "
        f"({_signed(cancels, 100, 0)} points of what is left of them in the sum); what it adds later is "
        f"{words[verdicts[2]]} reliable than what it added at first ({_signed(later, 100, 0)} points).",
        _F4_RULE,
    )


def paper_verdict(observed: float | None) -> str:
    """What the papers' own rule says: no floor, no ceiling, little is less than half of what is observed."""
    if observed is None or not np.isfinite(observed):
        return NOT_MEASURABLE
    return SUPPORTED if observed < _LITTLE else CONTRADICTED


def _differing(readings: Readings, name: str, share: Share) -> dict[str, str]:
    """What other readings would say where it is not the same, with the reason."""
    verdict = NOT_MEASURABLE if share.reason else _little(share)
    found = {}
    for reading, strengths in readings.others.items():
        other = strengths.share(name)
        exact = reading in ("exact", "paper")
        said = paper_verdict(other.observed) if exact else NOT_MEASURABLE if other.reason else _little(other)
        if said == verdict:
            continue
        text = f"{said}: {100 * other.observed:.0f}% observed"
        if other.floor is not None:
            text += f", where interactions of other samples share {100 * other.floor:.0f}%"
        if exact:
            text += "; an exact reading has no ceiling, and most of what it measures is noise, which no model shares"
        elif other.reason:
            text += f"; {other.reason}"
        else:
            text += f"; {_corrected(other)} corrected"
        found[reading] = text
    return found


def _little(share: Share) -> str:
    if share.high < _LITTLE:
        return SUPPORTED
    return CONTRADICTED if share.low > _LITTLE else UNDECIDED


def _above_zero(e: Estimate) -> str:
    if e.low > _ROUNDING:
        return SUPPORTED
    return CONTRADICTED if e.high < -_ROUNDING else UNDECIDED


def _below_zero(e: Estimate) -> str:
    return _flipped(_above_zero(e))


def _flipped(verdict: str) -> str:
    return {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}.get(verdict, verdict)


def _both(*verdicts: str) -> str:
    """Supported if all are; contradicted if any is; else undecided."""
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return SUPPORTED if set(verdicts) == {SUPPORTED} else UNDECIDED


def _corrected(share: Share) -> str:
    assert share.corrected is not None
    return f"{100 * share.corrected:.0f}% [{100 * share.low:.0f}%, {100 * share.high:.0f}%]"


def _signed(e: Estimate, scale: float, digits: int) -> str:
    mean, low, high = (f"{scale * x:+.{digits}f}" for x in (e.mean, e.low, e.high))
    return f"{mean} [{low}, {high}]"


def _p(p: float) -> str:
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"
