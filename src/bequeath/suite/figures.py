"""Pictures of a suite's results. One function, one figure, of those rows that have something to draw."""

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

# Height of a row, and of what stands around the rows, in CSS pixels.
_ROW, _AROUND = 34, 70
_WIDTH = 860
_NAMES = 300
# Letters of a name in one line.
_NAME = 36
# Panels beside each other, and the height of one.
_COLUMNS, _PANEL = 4, 210
# Okabe and Ito's colours, without those that mean a model or a part elsewhere on the page.
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
    """Rows whose runs have checkpoints enough to speak of a course."""
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
    """A share with its interval on the scale from chance to what can be read again; not measurable: said so."""
    if share["reason"] or share["corrected"] is None:
        axes.text(0.5, y, "not measurable", color=COLOURS["muted"], fontsize=8, ha="center", va="center")
        return
    estimate = {**share, "mean": share["corrected"]}
    axes.hlines(y, *ends(estimate), colors=colour, linewidth=2, zorder=3)
    axes.plot([mean(estimate)], [y], marker, color=colour, markersize=6, zorder=4, label=name)


@styled
def shares(document: Json) -> Figure:
    """Corrected preserved share and R of every row, with intervals: 0% is chance, 100% what can be read again.

    The panel of R is left out where no row has a control.
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
            for name, (of, shift, colour, marker) in readings.items():
                if share not in of:
                    continue
                _point(axes, of[share], y + shift, colour, marker, None if name in names else name)
                if of[share]["corrected"] is not None:
                    names[name] = None
    panels[0].set_yticks(range(len(rows)), [textwrap.fill(row["name"], _NAME) for row in rows])
    panels[0].tick_params(axis="y", labelcolor=COLOURS["ink"])
    figure.legend(loc="upper center", ncols=6, borderaxespad=0.1, fontsize=9)
    return figure


def _grid(rows: list[Json], top: int, sharey: bool) -> tuple[Figure, list[Axes]]:
    """A panel a row, at most four beside each other; `top` is the height of what stands above them."""
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
    """An estimate of each checkpoint of every run over training steps, one panel a row."""
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
            # By role: rows have models of other names.
            entries.setdefault(look.role or look.name, line)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    figure.legend(list(entries.values()), list(entries), loc="upper right", ncols=5, borderaxespad=0.1)
    figure.supxlabel("training step (log scale)", fontsize=10, color=COLOURS["muted"])
    return figure, panels


@styled
def courses(document: Json) -> Figure:
    """Corrected similarity to each run's own final knowledge over training steps, one panel a row."""
    figure, panels = _over_steps(document, "corrected")
    panels[0].set_ylim(-0.1, 1.1)
    return figure


@styled
def phases(document: Json) -> Figure:
    """Mean order of the interactions, weighted by strength, over training steps, one panel a row."""
    return _over_steps(document, "mean_order")[0]


@styled
def causal(document: Json) -> Figure:
    """Accuracy against corrected preserved share of the models after, by start; one panel a row."""
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


# Name -> what draws it, the rows that it is of, its title.
ALL: dict[str, tuple[Callable[[Json], Figure], Callable[[Json], list[Json]], str]] = {
    "shares": (shares, finished, "Preserved share and R of every row, corrected"),
    "courses": (courses, followed, "Corrected similarity to the final knowledge over training"),
    "phases": (phases, followed, "Mean order of the interactions over training"),
    "causal": (causal, disturbed, "Accuracy and preserved share of models trained from disturbed starts"),
}
