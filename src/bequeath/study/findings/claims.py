"""The paper's three claims, judged on a study's own figures (arXiv 2410.08455, Secs. 4-5)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bequeath.knowledge.dynamics import Dynamics
from bequeath.knowledge.measures import Measures, Readings
from bequeath.knowledge.statistics import Estimate, mean_estimate, sign_flip_test

Json = dict[str, Any]

# What "small" means: less than half.
_SMALL = 0.5
# Differences of shares below this are rounding, not findings.
_ROUNDING = 1e-9


def _percent(e: Estimate) -> str:
    return f"{100 * e.mean:.0f}% [{100 * e.low:.0f}%, {100 * e.high:.0f}%]"


def _signed(e: Estimate, scale: float, digits: int) -> str:
    mean, low, high = (f"{scale * x:+.{digits}f}" for x in (e.mean, e.low, e.high))
    return f"{mean} [{low}, {high}]"


def _small(e: Estimate) -> str:
    if e.high < _SMALL:
        return "supported"
    return "contradicted" if e.low > _SMALL else "undecided"


def _above_zero(e: Estimate) -> str:
    if e.low > _ROUNDING:
        return "supported"
    return "contradicted" if e.high < -_ROUNDING else "undecided"


def _both(*verdicts: str) -> str:
    """Supported if all are; contradicted if any is; else undecided."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if set(verdicts) == {"supported"} else "undecided"


def _agreed(verdict: str, by_and: str, scaled: str) -> tuple[str, str]:
    """A verdict that the plain AND reading, or that in each model's own scale, does not share is no verdict."""
    if verdict == by_and == scaled:
        return verdict, " The plain AND reading and that in each model's own scale agree."
    return (
        "undecided",
        f" (By this reading: {verdict}; by the plain AND reading: {by_and}; in each model's own scale: {scaled}; so "
        "undecided.)",
    )


def _determined(verdict: str, interval: Json | None) -> tuple[str, str]:
    """A verdict on smallness that does not hold for every equally sparse split is no verdict (METHOD 2b)."""
    if interval is None or interval["least"]["mean"] is None:
        return verdict, ""
    least, greatest, slack = interval["least"]["mean"], interval["greatest"]["mean"], interval["slack"]
    text = (
        f" Over all splits within {100 * slack:g}% of the sparsest the share is between "
        f"{100 * least:.0f}% and {100 * greatest:.0f}%"
    )
    open_ = (verdict == "supported" and greatest >= _SMALL) or (verdict == "contradicted" and least <= _SMALL)
    return ("undecided", text + ", so undecided.") if open_ else (verdict, text + ".")


def _f1(readings: Readings, interval: Json | None) -> Json:
    def by(measures: Measures) -> tuple[str, str]:
        return _small(measures.share("preserved")), _above_zero(measures.fall_with_order())

    share, fall = readings.measures.share("preserved"), readings.measures.fall_with_order()
    low, falls = by(readings.measures)
    small, range_ = _determined(low, interval)
    verdict, note = _agreed(_both(small, falls), _both(*by(readings.reference)), _both(*by(readings.scaled)))
    return {
        "verdict": verdict,
        "text": f"Fine-tuning preserved {_percent(share)} of the strength of the pre-trained model's interactions; "
        f"the preserved share at low orders is {_signed(fall, 100, 0)} points above that at high orders "
        f"(a minus sign: below).{range_}{note}",
        "rule": "Supported if the preserved share is below one half, whichever of the equally sparse splits is taken, "
        "and falls from the lower to the upper half of the orders, both with their 95% intervals, and by the plain AND "
        "reading and in each model's own scale too.",
    }


def _f2(readings: Readings) -> Json:
    def by(measures: Measures) -> str:
        return _small(measures.share("relearned"))

    share = readings.measures.share("relearned")
    if not np.isfinite(share.mean):
        return {"verdict": "undecided", "text": "Nothing was preserved, so nothing to relearn.", "rule": ""}
    verdict, note = _agreed(by(readings.measures), by(readings.reference), by(readings.scaled))
    return {
        "verdict": verdict,
        "text": f"Training from scratch found {_percent(share)} of the preserved knowledge too "
        f"(R; the paper reports 13% to 45%).{note}",
        "rule": "Supported if R is below one half with its 95% interval, and by the plain AND reading and in each "
        "model's own scale too.",
    }


def _f3(finetuned: Dynamics | None, scratch: Dynamics | None) -> Json:
    rule = (
        "Supported if, paired on samples (and seeds), the fine-tuned run has both the larger area under its similarity "
        "curve over log steps (earlier) and the smaller share of strength learned and later dropped (steadier), with "
        "their 95% intervals; contradicted if either is the other way round with its interval. p: two-sided sign-flip "
        "test over samples."
    )
    if finetuned is None or scratch is None:
        text = "Not judged: both runs need at least 3 checkpoints."
        return {"verdict": "undecided", "text": text, "rule": rule}
    ahead, kept = finetuned.area() - scratch.area(), (scratch.dropped - finetuned.dropped).numpy()
    earlier, steadier = mean_estimate(ahead), mean_estimate(kept)
    return {
        "verdict": _both(_above_zero(earlier), _above_zero(steadier)),
        "text": f"Over its course (area under the similarity to its own final knowledge) the fine-tuned run is "
        f"{_signed(earlier, 1, 2)} ahead of the scratch run ({_p(ahead)}); of what each learned, it later dropped "
        f"{_signed(steadier, 100, 0)} points less (a minus sign: more; {_p(kept)}).",
        "rule": rule,
    }


def _p(differences: NDArray[np.float64]) -> str:
    p = sign_flip_test(differences)
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"


def judge(
    readings: Readings, interval: Json | None, finetuned: Dynamics | None, scratch: Dynamics | None
) -> Json:
    """F1, F2 and F3 with verdict, sentence and rule; of one seed, or of several together.

    `interval` is the identifiability of the preserved share.
    """
    return {"F1": _f1(readings, interval), "F2": _f2(readings), "F3": _f3(finetuned, scratch)}
