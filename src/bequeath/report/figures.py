"""Figures of what was kept, lost and gained. One function, one figure, made from the findings alone."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bequeath.report.models import compared, region, short
from bequeath.report.style import COLOURS, KINDS, canvas, legend_below, styled
from bequeath.report.text import interval, number

Findings = dict[str, Any]
Estimate = dict[str, Any] | None

LARGE = (410, 260)
SMALL = (250, 190)
REST = {"before": "discarded", "after": "new"}


def mean(estimate: Estimate) -> float:
    """The estimate's mean. NaN where there is none: matplotlib does not draw it."""
    return float("nan") if estimate is None or estimate["mean"] is None else float(estimate["mean"])


def ends(estimate: Estimate) -> tuple[float, float]:
    """The estimate's interval. Twice the mean where there is none: a whisker of no length."""
    if estimate is None or estimate["low"] is None or estimate["high"] is None:
        return mean(estimate), mean(estimate)
    return float(estimate["low"]), float(estimate["high"])


def length(estimate: Estimate) -> float:
    """The estimate's mean as the length of a bar. 0 where there is none, because bars are stacked."""
    return 0.0 if math.isnan(mean(estimate)) else mean(estimate)


def rows_of(findings: Findings, kind: str) -> list[dict[str, Any]]:
    """The rows of one type, orders 1 to n, in order."""
    rows = [row for row in findings["knowledge"]["by_order"] if row["type"] == kind and row["order"] > 0]
    return sorted(rows, key=lambda row: row["order"])


def any_strength(findings: Findings, kind: str) -> bool:
    """Whether either compared model has interactions of this type: a plain AND decomposition has no OR."""
    return any(length(row["strength"][role]) > 0 for row in rows_of(findings, kind) for role in REST)


def ordered_regions(findings: Findings) -> list[dict[str, Any]]:
    """The regions in the page's order: those of most models first."""
    return sorted(findings["regions"], key=lambda row: -len(row["models"]))


def _whiskers(axes: Axes, x: list[float], estimates: list[Estimate], *, across: bool = False) -> None:
    lows, highs = zip(*(ends(e) for e in estimates), strict=True)
    lines = axes.hlines if across else axes.vlines
    lines(x, lows, highs, colors=COLOURS["ink"], linewidth=1.1, zorder=4)


def _order_axis(axes: Axes, orders: list[int]) -> None:
    axes.set_xlabel("order (players in the interaction)")
    axes.set_xlim(min(orders) - 0.6, max(orders) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=16, integer=True, min_n_ticks=1))


@styled
def overview(findings: Findings) -> Figure:
    """One bar: discarded, preserved, new; brackets show which part each model has.

    Parameters
    ----------
    findings
        A findings document; the row of all types and all orders is drawn.
    """
    row = next(r for r in findings["knowledge"]["by_order"] if r["type"] == "all" and r["order"] == 0)
    strength = row["strength"]
    figure, axes = canvas((480, 150), left=10, top=0, bottom=0)
    parts = [(part, length(strength[part])) for part in ("discarded", "preserved", "new")]
    total = sum(width for _, width in parts)
    starts = [0.0, parts[0][1], parts[0][1] + parts[1][1]]
    for (part, width), left in zip(parts, starts, strict=True):
        axes.barh(
            0, width, left=left, height=0.9, color=COLOURS[part], edgecolor=COLOURS["paper"], linewidth=1.5
        )
        # A narrow part cannot hold its name; the brackets and the caption still say which it is.
        if width > 0.17 * total:
            axes.text(left + width / 2, 0, part, ha="center", va="center", color="#111111", fontsize=12)
    if "relearned" in strength:
        relearned, colour = length(strength["relearned"]), COLOURS["relearned"]
        axes.barh(-0.36, relearned, left=starts[1], height=0.16, color=colour, edgecolor=COLOURS["paper"])
    for role, first, last, y, side in (
        ("before", 0.0, starts[2], 0.68, 1),
        ("after", starts[1], total, -0.68, -1),
    ):
        axes.plot([first, first, last, last], [y - side * 0.12, y, y, y - side * 0.12], color=COLOURS[role])
        name = short(compared(findings)[role].name, 46)
        axes.text(
            first if side > 0 else last,
            y + side * 0.08,
            f"{name}: {number(last - first)} {interval(strength[role])}",
            ha="left" if side > 0 else "right",
            va="bottom" if side > 0 else "top",
            color=COLOURS["ink"],
        )
    axes.set_ylim(-1.25, 1.25)
    axes.set_xlim(0, total or 1)
    axes.set_axis_off()
    return figure


@styled
def strength_by_order(findings: Findings, role: str, kind: str = "all") -> Figure:
    """One model's strength by order, split into preserved and the rest (discarded or new).

    Parameters
    ----------
    findings
        A findings document.
    role
        `"before"` or `"after"`.
    kind
        `"all"`, or `"and"` or `"or"` in a small figure.
    """
    large = kind == "all"
    rows = rows_of(findings, kind)
    figure, axes = canvas(LARGE) if large else canvas(SMALL, left=36, top=24, bottom=36)
    orders = [row["order"] for row in rows]
    kept = [row["strength"]["preserved"] for row in rows]
    other = [row["strength"][REST[role]] for row in rows]
    total = [row["strength"][role] for row in rows]
    bottom = [length(e) for e in kept]
    edge: dict[str, Any] = {"edgecolor": COLOURS["paper"], "linewidth": 0.8, "width": 0.72}
    axes.bar(orders, bottom, color=COLOURS["preserved"], label="preserved", **edge)
    colour = COLOURS[REST[role]]
    axes.bar(orders, [length(e) for e in other], bottom=bottom, color=colour, label=REST[role], **edge)
    _whiskers(axes, [order - 0.14 for order in orders], kept)
    _whiskers(axes, [order + 0.14 for order in orders], total)
    # Both models share one scale, so that their heights may be compared across figures.
    tops = [ends(row["strength"][either])[1] for row in rows for either in REST]
    top = max((t for t in tops if not math.isnan(t)), default=0.0)
    axes.set_ylim(0, 1.06 * top or 1)
    _order_axis(axes, orders)
    name = short(compared(findings)[role].name, 36 if large else 26)
    axes.set_title(f"{name}, {KINDS[kind]}")
    if large:
        axes.set_ylabel("mean strength per sample")
        legend_below(figure, axes)
    else:
        axes.set_xlabel("order")
    return figure


@styled
def cancellation_by_order(findings: Findings) -> Figure:
    """Whether effects of one order add up (1) or cancel out (0), for each model and for the discarded part."""
    figure, axes = canvas(LARGE)
    rows = rows_of(findings, "all")
    shown = {role: (model.marker, short(model.name)) for role, model in compared(findings).items()}
    shown["discarded"] = ("v", "discarded")
    for place, (who, (marker, name)) in enumerate(shown.items()):
        x = [row["order"] + 0.14 * (place - (len(shown) - 1) / 2) for row in rows]
        estimates = [row["cancellation"][who] for row in rows]
        _whiskers(axes, x, estimates)
        y = [mean(e) for e in estimates]
        axes.plot(x, y, marker=marker, markersize=6, color=COLOURS[who], linewidth=1, label=name, zorder=5)
    _order_axis(axes, [row["order"] for row in rows])
    axes.set_ylim(0, 1.02)
    axes.set_title("Do the effects of one order add up?")
    axes.set_ylabel("|sum of effects| / sum of |effects|")
    legend_below(figure, axes)
    return figure


def _regions(findings: Findings) -> tuple[Figure, Axes, list[dict[str, Any]]]:
    """Axes with a row for each region, high enough for its name."""
    rows, called = ordered_regions(findings), compared(findings)
    names = [textwrap.fill(region(row["models"], called), 26) for row in rows]
    line = max(min(40, 175 // len(rows)), 8 + 13 * max(name.count("\n") + 1 for name in names))
    figure, axes = canvas((LARGE[0], 66 + line * len(rows)), left=176)
    axes.set_yticks(range(len(rows)), names, color=COLOURS["ink"])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    return figure, axes, rows


@styled
def region_strength(findings: Findings) -> Figure:
    """How much strength each set of models has in common."""
    figure, axes, rows = _regions(findings)
    places = [float(place) for place in range(len(rows))]
    axes.barh(places, [mean(row["strength"]) for row in rows], height=0.62, color=COLOURS["muted"])
    _whiskers(axes, places, [row["strength"] for row in rows], across=True)
    axes.set_xlim(left=0)
    axes.set_title("Strength")
    axes.set_xlabel("mean strength per sample")
    return figure


@styled
def region_effects(findings: Findings) -> Figure:
    """The effect of each region on the output of each of its models: to the right it raises the output."""
    figure, axes, rows = _regions(findings)
    axes.axvline(0, color=COLOURS["muted"], linewidth=0.9)
    called = compared(findings)
    for line, (role, model) in enumerate(called.items()):
        having = [(place, row["effect"][role]) for place, row in enumerate(rows) if role in row["effect"]]
        y = [place + 0.66 * ((line + 0.5) / len(called) - 0.5) for place, _ in having]
        _whiskers(axes, y, [e for _, e in having], across=True)
        x = [mean(e) for _, e in having]
        axes.plot(x, y, "o", markersize=6.5, color=COLOURS[role], label=short(model.name), zorder=5)
    axes.set_title("Signed effect on the output")
    axes.set_xlabel("mean sum of effects per sample")
    legend_below(figure, axes)
    return figure
