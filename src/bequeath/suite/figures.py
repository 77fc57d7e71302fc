"""Figures of a suite's results: one function per figure, which draws the rows that have the needed data."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, PercentFormatter

from bequeath.report.figures import ends, mean
from bequeath.report.models import models
from bequeath.report.style import COLOURS, styled

Json = dict[str, Any]

# In CSS pixels: height of a row, height of everything around the rows, width of the figure, width of the names.
_ROW, _AROUND = 34, 70
_WIDTH = 860
_NAMES = 300
# Characters of a name in one line.
_NAME = 36
# Panels in a line, and the height of a panel in CSS pixels.
_COLUMNS, _PANEL = 4, 210
# Okabe and Ito's colours, without those that stand for a model or a share elsewhere on the page.
_STARTS = {
    "none": ("#009e73", "o"),
    "early": ("#0072b2", "^"),
    "middle": ("#56b4e9", "s"),
    "late": ("#cc79a7", "v"),
    "frozen": ("#6f7782", "D"),
    "shuffled": ("#d55e00", "X"),
}


def finished(document: Json) -> list[Json]:
    """Rows with a finished seed."""
    return [row for row in document["rows"] if row["pooled"]]


def followed(document: Json) -> list[Json]:
    """Rows whose runs have enough checkpoints to show their course."""
    return [row for row in finished(document) if row["pooled"]["dynamics"]]


def disturbed(document: Json) -> list[Json]:
    """Rows with disturbed starts."""
    return [row for row in finished(document) if row["causal"]]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasAgg(figure)
    return figure


def _panel(axes: Axes, count: int, title: str) -> None:
    axes.set_title(title)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlim(-0.25, 1.15)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    for level in (0, 1):
        axes.axvline(level, color=COLOURS["ink"], linewidth=1, zorder=1)


def _point(axes: Axes, share: Json, y: float, colour: str, marker: str, name: str | None) -> None:
    """Draw a share with its interval on the scale from chance (0) to another reading (1), or say "not measurable"."""
    if share["reason"] or share["corrected"] is None:
        axes.text(0.5, y, "not measurable", color=COLOURS["muted"], fontsize=8, ha="center", va="center")
        return
    estimate = {**share, "mean": share["corrected"]}
    axes.hlines(y, *ends(estimate), colors=colour, linewidth=2, zorder=3)
    axes.plot([mean(estimate)], [y], marker, color=colour, markersize=6, zorder=4, label=name)


@styled
def shares(document: Json) -> Figure:
    """Corrected preserved share and R of every row, with intervals: 0% is chance, 100% another reading.

    The panel of R is left out if no row has a control.
    """
    rows = finished(document)
    high = _ROW * len(rows) + _AROUND
    wide = 2 if any("relearned" in row["pooled"]["knowledge"]["shares"] for row in rows) else 1
    figure = _figure(_WIDTH, high)
    place = {"left": _NAMES / _WIDTH, "right": 0.98, "top": 1 - 46 / high, "bottom": 24 / high, "wspace": 0.1}
    panels = figure.subplots(1, wide, sharey=True, squeeze=False, gridspec_kw=place)[0]
    titles = {"preserved": "Preserved share, corrected", "relearned": "R, corrected: the control has it, too"}
    names: dict[str, None] = {}
    for axes, (share, title) in zip(panels, titles.items(), strict=False):
        _panel(axes, len(rows), title)
        for y, row in enumerate(rows):
            knowledge = row["pooled"]["knowledge"]
            readings = {"another reading is 100%": (knowledge["shares"], -0.13, COLOURS["preserved"], "o")}
            if "twin" in knowledge["by_second"]:
                twin = (knowledge["by_second"]["twin"], 0.17, COLOURS["relearned"], "s")
                readings["another seed is 100%"] = twin
            for name, (values, shift, colour, marker) in readings.items():
                if share not in values:
                    continue
                _point(axes, values[share], y + shift, colour, marker, None if name in names else name)
                if values[share]["corrected"] is not None:
                    names[name] = None
    panels[0].set_yticks(range(len(rows)), [textwrap.fill(row["name"], _NAME) for row in rows])
    panels[0].tick_params(axis="y", labelcolor=COLOURS["ink"])
    figure.legend(loc="upper center", ncols=6, borderaxespad=0.1, fontsize=9)
    return figure


def _grid(rows: list[Json], top: int, sharey: bool) -> tuple[Figure, list[Axes]]:
    """A figure with a panel per row of the results, at most four in a line; `top` is the height above the panels."""
    columns = min(_COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    height = _PANEL * lines + top + 24
    figure = _figure(_WIDTH, height)
    around = {"left": 0.06, "right": 0.99, "top": 1 - top / height, "bottom": 44 / height}
    between = {"wspace": 0.1 if sharey else 0.28, "hspace": 0.55}
    panels = figure.subplots(lines, columns, squeeze=False, sharey=sharey, gridspec_kw=around | between)
    flat = [axes for line in panels for axes in line]
    for axes, row in zip(flat, rows, strict=False):
        axes.set_title(textwrap.fill(row["name"], _NAME), fontsize=9)
    for axes in flat[len(rows) :]:
        axes.set_axis_off()
    return figure, flat[: len(rows)]


def _over_steps(document: Json, key: str) -> tuple[Figure, list[Axes]]:
    """Draw an estimate of each checkpoint over training steps, for every run, with one panel per row."""
    rows = followed(document)
    figure, panels = _grid(rows, 56, sharey=True)
    entries: dict[str, Any] = {}
    for axes, row in zip(panels, rows, strict=True):
        looks = models(row["pooled"])
        for name, points in row["pooled"]["dynamics"]["runs"].items():
            look = looks[name]
            colour = COLOURS[look.colour]
            x = [max(point["step"], 1) for point in points]
            lows, highs = zip(*(ends(point[key]) for point in points), strict=True)
            axes.fill_between(x, lows, highs, color=colour, alpha=0.18, linewidth=0)
            y = [mean(point[key]) for point in points]
            (line,) = axes.plot(x, y, marker="o", markersize=3.5, color=colour, linestyle=look.line)
            # The legend names roles, because the names of models differ between rows.
            entries.setdefault(look.role or look.name, line)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    figure.legend(list(entries.values()), list(entries), loc="upper right", ncols=5, borderaxespad=0.1)
    figure.supxlabel("training step (log scale)", fontsize=10, color=COLOURS["muted"])
    return figure, panels


@styled
def courses(document: Json) -> Figure:
    """Corrected similarity to each run's own final knowledge over training steps, with one panel per row."""
    figure, panels = _over_steps(document, "corrected")
    panels[0].set_ylim(-0.1, 1.1)
    return figure


@styled
def phases(document: Json) -> Figure:
    """Mean order of the interactions, weighted by strength, over training steps, with one panel per row."""
    return _over_steps(document, "mean_order")[0]


@styled
def causal(document: Json) -> Figure:
    """Accuracy against the corrected preserved share of the models after, by start, with one panel per row."""
    rows = disturbed(document)
    figure, panels = _grid(rows, 58, sharey=False)
    names: dict[str, Any] = {}
    for axes, row in zip(panels, rows, strict=True):
        for run in row["causal"]["runs"]:
            colour, marker = _STARTS[run["start"]]
            x, y = run["preserved"], run["accuracy"]
            if x is None:
                continue
            (dot,) = axes.plot(x, y, marker, color=colour, markersize=7, alpha=0.85, linestyle="none")
            names.setdefault(run["start"], dot)
        axes.margins(0.12)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    panels[0].set_ylabel("accuracy")
    figure.supxlabel("preserved share, corrected", fontsize=10, color=COLOURS["muted"])
    figure.legend(
        list(names.values()),
        ["undisturbed" if name == "none" else name for name in names],
        loc="upper center",
        ncols=len(names),
        borderaxespad=0.1,
    )
    return figure


# For each figure: its function, the rows that it draws, its title.
ALL: dict[str, tuple[Callable[[Json], Figure], Callable[[Json], list[Json]], str]] = {
    "shares": (shares, finished, "Preserved share and R of every row, corrected"),
    "courses": (courses, followed, "Corrected similarity to the final knowledge over training"),
    "phases": (phases, followed, "Mean order of the interactions over training"),
    "causal": (causal, disturbed, "Accuracy and preserved share of models trained from disturbed starts"),
}
