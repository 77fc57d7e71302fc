"""Numbers and names as a reader meets them: filters of the page, and labels of figures."""

# ruff: noqa: RUF001 -- the page prints real minus signs, times signs and dashes.

from __future__ import annotations

import math
from typing import Any

from bequeath.report.models import short
from bequeath.report.style import KINDS

Estimate = dict[str, Any] | None

NONE = "–"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NORMALISE = {
    "none": "Effects are in the raw units of the value function.",
    "output": "Each model's effects are divided by its mean |v(N) − v(∅)|, because outputs differ in scale.",
    "l1": "Each model is on its own scale: its effects are divided by its mean sum of |effects|.",
}


def _digits(x: float) -> int:
    """Decimals that show about three figures of x, and never more than three."""
    size = abs(x)
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 3


def fixed(x: float, digits: int, sign: str = "") -> str:
    """So many decimals, with a real minus sign, and a plus sign where `sign` is "+"."""
    # "-0.00" would claim a sign that the digits do not show.
    return f"{round(x, digits) + 0.0:{sign},.{digits}f}".replace("-", "−")


def absent(x: float | None) -> bool:
    """Whether there is no number to show."""
    return x is None or not math.isfinite(x)


def number(x: float | None) -> str:
    """About three figures, with a real minus sign."""
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
    """As `number`, with a plus sign where it applies."""
    return _with_plus(x, number(x))


def percent(x: float | None) -> str:
    """A share as a percentage with one decimal."""
    return NONE if x is None or absent(x) else f"{fixed(100 * x, 1)}%"


def points(x: float | None) -> str:
    """A difference of shares in percentage points, as `percent`, with a plus sign where it applies."""
    return _with_plus(x, percent(x).removesuffix("%"))


def _with_plus(x: float | None, text: str) -> str:
    return f"+{text}" if x is not None and not absent(x) and x > 0 and text.strip("0.,") else text


def chance(p: float) -> str:
    """A p-value."""
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"


def middle(figure: Estimate) -> float | None:
    """The figure itself of an estimate or of a share."""
    if figure is None:
        return None
    value: float | None = figure["observed"] if "observed" in figure else figure["mean"]
    return value


def interval(figure: Estimate, unit: str = "number") -> str:
    """An estimate's or a share's interval in brackets, with the decimals of the figure; empty where there is none."""
    mean = middle(figure)
    if figure is None or mean is None or any(absent(x) for x in (mean, figure["low"], figure["high"])):
        return ""
    scale, digits = (100, 1) if unit in ("percent", "points") else (1, _digits(mean))
    return f"[{fixed(scale * figure['low'], digits)}, {fixed(scale * figure['high'], digits)}]"


def by_chance(share: dict[str, Any]) -> str:
    """What a share must be read against."""
    within = share["floor_within_classes"]
    text = f"by chance {percent(share['floor'])}"
    return text if within is None else f"{text}, within classes {fixed(100 * within, 0)}%"


def power(text: str) -> str:
    """A power such as 2^16 with a raised exponent."""
    base, _, exponent = text.partition("^")
    return base + exponent.translate(_RAISED)


def duration(seconds: float | None) -> str:
    """Seconds, or minutes and seconds."""
    if seconds is None or absent(seconds):
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


FILTERS = {
    "number": number,
    "small": small,
    "signed": signed,
    "percent": percent,
    "points": points,
    "chance": chance,
    "interval": interval,
    "by_chance": by_chance,
    "kind": KINDS.__getitem__,
    "short": short,
    "scale": _NORMALISE.__getitem__,
    "duration": duration,
    "power": power,
}
