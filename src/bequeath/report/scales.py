"""Figures of shares between their zero, chance, and their one, the same model read again. One function, one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import blended_transform_factory

from bequeath.report.figures import LARGE, Findings
from bequeath.report.models import compared, short
from bequeath.report.style import COLOURS, canvas, legend_below, styled
from bequeath.report.text import absent, bracket, likelihood, measured, percent, whole

Share = dict[str, Any]

# Shares with a scale of their own; discarded is the other side of preserved.
SCALES = ("preserved", "new", "relearned")


def common(share: Share) -> Share:
    """The complement of a share of what is left (discarded, new): the share of what both models have."""

    def complement(x: float | None) -> float | None:
        return None if x is None or absent(x) else 1 - x

    ends = {"low": "high", "high": "low", "observed_low": "observed_high", "observed_high": "observed_low"}
    alike = ("observed", "floor", "ceiling", "corrected")
    return share | {key: complement(share[ends.get(key, key)]) for key in (*alike, *ends)}


def _parts(findings: Findings, name: str) -> tuple[str, Share, tuple[str, str], tuple[str, str]]:
    """The parts of one scale: its title, its share from left to right, and colours and names of both sides."""
    shares, called = findings["knowledge"]["shares"], compared(findings)
    before, after = (short(called[role].name, 24) for role in ("before", "after"))
    if name == "new":
        colours, words = ("preserved", "new"), (f"{before} has it", "new")
        return f"Of {after}", common(shares["new"]), colours, words
    if name == "relearned":
        control = short(called["control"].name, 24)
        colours, words = ("relearned", "preserved"), (f"{control} has it", "it has not")
        return "Of what is preserved", shares["relearned"], colours, words
    return f"Of {before}", shares["preserved"], ("preserved", "discarded"), ("preserved", "discarded")


@styled
def share_scale(findings: Findings, name: str) -> Figure:
    """A share on its scale: 0% is chance, 100% is what the same models read again have; with its 95% interval.

    Parameters
    ----------
    findings
        A findings document in which the share is measurable.
    name
        One of `SCALES`: preserved and discarded are the two sides of one.
    """
    figure, axes = canvas((LARGE[0], 120), left=16, right=16, top=40, bottom=42)
    draw_scale(axes, *_parts(findings, name))
    return figure


def draw_scale(axes: Axes, of: str, share: Share, colours: tuple[str, str], words: tuple[str, str]) -> Axes:
    """A measurable share from chance (0%) to the same models read again (100%), with its 95% interval.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    of
        What it is a share of: the title.
    share
        As in the findings; of what is in common (`common`).
    colours, words
        Keys of `style.COLOURS` and names of what is in common, and of what is not.

    Returns
    -------
    matplotlib.axes.Axes
        The same.
    """
    at, low, high = (float(share[key]) for key in ("corrected", "low", "high"))
    middle = min(max(at, 0.0), 1.0)
    for start, end, colour in ((0.0, middle, colours[0]), (middle, 1.0, colours[1])):
        axes.barh(0, end - start, left=start, height=1, color=COLOURS[colour], linewidth=0)
    axes.vlines([0, 1], -0.95, 0.95, colors=COLOURS["ink"], linewidth=1.4)
    # An edge of paper, so that the interval stands out from any colour, on light paper and on dark.
    for colour, line, over in (("paper", 4.2, 3), ("ink", 1.6, 4)):
        axes.hlines(0, low, high, colors=COLOURS[colour], linewidth=line, zorder=over)
        axes.vlines([low, high], -0.3, 0.3, colors=COLOURS[colour], linewidth=line, zorder=over)
    axes.plot([at], [0], "o", markersize=9, color=COLOURS["paper"], markeredgecolor=COLOURS["ink"], zorder=5)
    ends = min(0.0, low, at), max(1.0, high, at)
    wide = ends[1] - ends[0]
    axes.set_xlim(ends[0] - 0.01 * wide, ends[1] + 0.01 * wide)
    axes.set_ylim(-1, 1)
    axes.set_axis_off()
    # Names of the sides above the bar, where a narrow side cannot cut them off.
    side: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "va": "bottom", "fontsize": 10.5}
    axes.annotate(f"{words[0]} {whole(at)}", (0, 1), ha="left", color=COLOURS["ink"], **side)
    axes.annotate(f"{words[1]} {whole(1 - at)}", (1, 1), ha="right", color=COLOURS["ink"], **side)
    _levels(axes, share, at)
    axes.set_title(f"{of}: {whole(at)} {bracket(share)}", pad=20, loc="left")
    certain = ", ".join(filter(None, (likelihood(share), f"n = {share['n']}")))
    axes.set_title(certain, loc="right", pad=20, fontsize=10.5, color=COLOURS["muted"])
    return axes


def _levels(axes: Axes, share: Share, at: float) -> None:
    """The labels of chance, ceiling and point below the bar, kept apart wherever the three lie."""
    left, right = axes.get_xlim()
    mixed = blended_transform_factory(axes.transAxes, axes.transData)

    def across(x: float) -> float:
        return (x - left) / (right - left)

    below: dict[str, Any] = {
        "xytext": (0, -4),
        "textcoords": "offset points",
        "va": "top",
        "color": COLOURS["muted"],
        "fontsize": 10.5,
        "linespacing": 1.3,
        "xycoords": mixed,
    }
    first, last = max(across(0), 0.27), min(across(1), 0.63)
    zero, one = percent(share["floor"]), percent(share["ceiling"])
    axes.annotate(f"0%: by chance\n{zero} in common", (first, -1), ha="right", ma="left", **below)
    axes.annotate(f"100%: same model again\n{one} in common", (last, -1), ha="left", ma="right", **below)
    place = max(min(across(at), last - 0.085), first + 0.085)
    axes.annotate(f"observed\n{percent(share['observed'])}", (place, -1), ha="center", **below)
    # A thin line leads from the point to its words.
    axes.plot([at, left + place * (right - left)], [-0.5, -1], color=COLOURS["muted"], linewidth=0.8)


def unmeasured(findings: Findings, name: str) -> list[int]:
    """Orders whose share is not measurable."""
    shares = findings["knowledge"]["shares_by_order"][name]
    return [order for order, share in enumerate(shares, 1) if not measured(share)]


def _orders(axes: Axes, most: int) -> None:
    axes.set_xlabel("order (players in the interaction)")
    axes.set_xlim(0.4, most + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=16, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


@styled
def corrected_by_order(findings: Findings, name: str) -> Figure:
    """A corrected share by order, with its 95% interval: 0% is chance, 100% the same model read again.

    Parameters
    ----------
    findings
        A findings document.
    name
        `"preserved"` or `"relearned"`. Orders that are not measurable are left out.
    """
    figure, axes = canvas(LARGE)
    draw_by_order(axes, findings["knowledge"]["shares_by_order"][name], name)
    return figure


def draw_by_order(axes: Axes, shares: Sequence[Share], name: str) -> Axes:
    """Corrected shares of orders 1, 2, ... with their 95% intervals; those that are not measurable are left out.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    shares
        As in the findings.
    name
        What they are shares of; a key of `style.COLOURS`.

    Returns
    -------
    matplotlib.axes.Axes
        The same.
    """
    kept = [(float(order), share) for order, share in enumerate(shares, 1) if measured(share)]
    for level, words in ((0, "chance"), (1, "same model again")):
        axes.axhline(level, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        axes.text(len(shares) + 0.57, level, words, ha="right", va="bottom", color=COLOURS["muted"], size=9.5)
    x = [order for order, _ in kept]
    lows, highs = ([share[end] for _, share in kept] for end in ("low", "high"))
    axes.vlines(x, lows, highs, colors=COLOURS["ink"], linewidth=1.3, zorder=4)
    y = [share["corrected"] for _, share in kept]
    axes.plot(x, y, "o", markersize=8, color=COLOURS[name], markeredgecolor=COLOURS["ink"], zorder=5)
    _orders(axes, len(shares))
    low, high = min([0.0, *lows]), max([1.0, *highs])
    axes.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
    axes.set_title(f"{name.capitalize()}, order by order: corrected share")
    axes.set_ylabel("from chance to same model")
    return axes


@styled
def levels_by_order(findings: Findings, name: str) -> Figure:
    """The observed share by order, with its chance level and its ceiling, the same models read again.

    Parameters
    ----------
    findings
        A findings document.
    name
        `"preserved"` or `"relearned"`.
    """
    figure, axes = canvas(LARGE)
    shares = findings["knowledge"]["shares_by_order"][name]
    x = [float(order) for order in range(1, len(shares) + 1)]

    def values(key: str) -> list[float]:
        return [float("nan") if absent(share[key]) else float(share[key]) for share in shares]

    axes.vlines(
        x, values("observed_low"), values("observed_high"), colors=COLOURS["ink"], linewidth=1.3, zorder=4
    )
    axes.plot(x, values("ceiling"), "--^", markersize=6, color=COLOURS["muted"], label="same model again")
    axes.plot(x, values("observed"), "-o", markersize=8, color=COLOURS[name], label="observed", zorder=5)
    axes.plot(x, values("floor"), ":v", markersize=6, color=COLOURS["muted"], label="by chance")
    _orders(axes, len(shares))
    axes.set_ylim(0, 1.03)
    axes.set_title(f"{name.capitalize()}, order by order: as counted")
    axes.set_ylabel("share in common")
    legend_below(figure, axes)
    return figure
