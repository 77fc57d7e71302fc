"""Numbers and names as a reader meets them: filters of the page, and labels of figures."""

# ruff: noqa: RUF001 -- the page prints real minus signs, times signs and dashes.

from __future__ import annotations

import math
from typing import Any

from bequeath.report.models import short
from bequeath.report.style import KINDS

Estimate = dict[str, Any] | None
Share = dict[str, Any]

NONE = "–"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NORMALISE = {
    "none": "Effects are in the raw units of the value function.",
    "output": "Each model's effects are divided by its mean |v(N) − v(∅)|, because outputs differ in scale.",
    "l1": "Each model is on its own scale: its effects are divided by its mean sum of |effects|.",
}


def _digits(x: float) -> int:
    """How many decimals show about three significant digits of x; 3 at most."""
    size = abs(x)
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 3


def fixed(x: float, digits: int, sign: str = "") -> str:
    """x with `digits` decimals and a real minus sign; with a plus sign, too, if `sign` is "+"."""
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(x, digits) + 0.0:{sign},.{digits}f}".replace("-", "−")


def absent(x: float | None) -> bool:
    """Whether there is no number to show."""
    return x is None or not math.isfinite(x)


def number(x: float | None) -> str:
    """About three significant digits, with a real minus sign."""
    return NONE if x is None or absent(x) else fixed(x, _digits(x))


def small(x: float | None) -> str:
    """A tolerance or an error, of any magnitude: 3.1e-12 as 3.1 × 10⁻¹²."""
    if x is None or absent(x):
        return NONE
    if x == 0 or 1e-3 <= abs(x) < 1e4:
        return f"{x:.3g}".replace("-", "−")
    digits, exponent = f"{x:.1e}".split("e")
    return f"{digits.replace('-', '−')} × 10{str(int(exponent)).translate(_RAISED)}"


def signed(x: float | None) -> str:
    """As `number`, with a plus sign for positive numbers."""
    return _with_plus(x, number(x))


def percent(x: float | None) -> str:
    """A share as a percentage with one decimal."""
    return NONE if x is None or absent(x) else f"{fixed(100 * x, 1)}%"


def points(x: float | None) -> str:
    """A difference of shares in percentage points, with a plus sign for positive ones."""
    return _with_plus(x, percent(x).removesuffix("%"))


def _with_plus(x: float | None, text: str) -> str:
    return f"+{text}" if x is not None and not absent(x) and x > 0 and text.strip("0.,") else text


def chance(p: float) -> str:
    """A p-value."""
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"


def interval(estimate: Estimate, unit: str = "number") -> str:
    """An estimate's interval in brackets, with the decimals of its mean; empty where there is none."""
    if estimate is None or any(absent(estimate[key]) for key in ("mean", "low", "high")):
        return ""
    scale, digits = (100, 1) if unit in ("percent", "points") else (1, _digits(estimate["mean"]))
    return f"[{fixed(scale * estimate['low'], digits)}, {fixed(scale * estimate['high'], digits)}]"


def whole(x: float | None) -> str:
    """A share as a whole percentage: corrected shares are no more precise than that."""
    return NONE if x is None or absent(x) else f"{fixed(100 * x, 0)}%"


def measured(share: Share) -> bool:
    """Whether a share is measurable."""
    return not share["reason"] and not absent(share["corrected"])


def why_not(share: Share) -> str:
    """Why a share is not measurable."""
    return share["reason"] or "there is nothing to take a share of"


def bracket(share: Share) -> str:
    """The interval of a corrected share; empty where there is none."""
    if absent(share["low"]) or absent(share["high"]):
        return ""
    return f"[{whole(share['low'])}, {whole(share['high'])}]"


def corrected(share: Share) -> str:
    """A corrected share with its interval, or "not measurable"."""
    return f"{whole(share['corrected'])} {bracket(share)}".strip() if measured(share) else "not measurable"


def likelihood(share: Share) -> str:
    """The p-value of a share; empty where there is none."""
    return "" if absent(share["p"]) else chance(share["p"])


def levels(share: Share) -> str:
    """The levels of a corrected share: observed, floor (its zero) and ceiling (its one)."""
    parts = (("observed", "observed"), ("by chance", "floor"), ("same model again", "ceiling"))
    return ", ".join(f"{words} {percent(share[key])}" for words, key in parts if not absent(share[key]))


def difference(estimate: dict[str, Any]) -> str:
    """A difference of accuracies in percentage points with its interval, all signed."""
    return f"{points(estimate['mean'])} [{points(estimate['low'])}, {points(estimate['high'])}]"


def opposite(estimate: Estimate) -> Estimate:
    """The negative of a difference, with its interval."""
    if estimate is None or estimate["mean"] is None:
        return estimate
    ends = {"mean": "mean", "low": "high", "high": "low"}
    return estimate | {to: None if estimate[of] is None else -estimate[of] for to, of in ends.items()}


def power(text: str) -> str:
    """A power such as 2^16 with a raised exponent."""
    base, _, exponent = text.partition("^")
    return base + exponent.translate(_RAISED)


def duration(seconds: float | None) -> str:
    """Seconds, or minutes and seconds."""
    if seconds is None or absent(seconds):
        return NONE
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s" if minutes else f"{seconds:.1f} s"


FILTERS = {
    "number": number,
    "small": small,
    "signed": signed,
    "percent": percent,
    "points": points,
    "chance": chance,
    "interval": interval,
    "opposite": opposite,
    "whole": whole,
    "measured": measured,
    "why_not": why_not,
    "bracket": bracket,
    "corrected": corrected,
    "likelihood": likelihood,
    "levels": levels,
    "kind": KINDS.__getitem__,
    "short": short,
    "scale": _NORMALISE.__getitem__,
    "duration": duration,
    "power": power,
}
