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
from bequeath.report.style import COLOURS, LABELS, styled

Json = dict[str, Any]

# Height of a row, and of what stands around the rows, in CSS pixels.
_ROW, _AROUND = 34, 70
_WIDTH = 860
_NAMES = 300
# Letters of a name in one line.
_NAME = 36
# Panels beside each other, and the height of one.
_COLUMNS, _PANEL = 4, 210
_RUNS = {"finetuned": "-", "scratch": "--"}
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
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(FixedLocator([0, 0.2, 0.4, 0.6, 0.8]))
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")


def _point(axes: Axes, estimate: Json | None, y: float, colour: str, marker: str, name: str | None) -> None:
    axes.hlines(y, *ends(estimate), colors=colour, linewidth=2, zorder=3)
    axes.plot([mean(estimate)], [y], marker, color=colour, markersize=6, zorder=4, label=name)


@styled
def shares(document: Json) -> Figure:
    """Preserved share and R of every row with intervals; the grey bar is all that equally sparse splits allow."""
    rows = finished(document)
    figure = _figure(_WIDTH, _ROW * len(rows) + _AROUND)
    left, right = figure.subplots(
        1,
        2,
        sharey=True,
        gridspec_kw={
            "left": _NAMES / _WIDTH,
            "right": 0.98,
            "top": 1 - 46 / (_ROW * len(rows) + _AROUND),
            "bottom": 24 / (_ROW * len(rows) + _AROUND),
            "wspace": 0.1,
        },
    )
    _panel(left, len(rows), "Preserved share")
    _panel(right, len(rows), "R: preserved, and found from scratch too")
    for y, row in enumerate(rows):
        knowledge, first = row["pooled"]["knowledge"], y == 0
        bounds = knowledge["identifiability"]
        if bounds:
            left.barh(
                y,
                mean(bounds["greatest"]) - mean(bounds["least"]),
                left=mean(bounds["least"]),
                height=0.62,
                color=COLOURS["line"],
                label="any equally sparse split" if first else None,
            )
        readings = (
            (knowledge["shares"], -0.18, COLOURS["preserved"], "o", "AND-OR, raw"),
            (
                knowledge["scaled"]["shares"],
                0.02,
                COLOURS["relearned"],
                "s",
                "AND-OR, each model's own scale",
            ),
            (knowledge["reference"]["shares"], 0.22, COLOURS["muted"], "D", "plain AND, raw"),
        )
        for reading, shift, colour, marker, name in readings:
            _point(left, reading["preserved"], y + shift, colour, marker, name if first else None)
            _point(right, reading["relearned"], y + shift, colour, marker, None)
    left.set_yticks(range(len(rows)), [textwrap.fill(row["name"], _NAME) for row in rows])
    left.tick_params(axis="y", labelcolor=COLOURS["ink"])
    right.axvspan(
        0.13, 0.45, color=COLOURS["discarded"], alpha=0.15, linewidth=0, label="the paper's range of R"
    )
    figure.legend(loc="upper center", ncols=5, borderaxespad=0.1, fontsize=9)
    return figure


def _grid(rows: list[Json], top: int, sharey: bool) -> tuple[Figure, list[Axes]]:
    """A panel a row, at most four beside each other; `top` is the height of what stands above them."""
    columns = min(_COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    height = _PANEL * lines + top + 24
    figure = _figure(_WIDTH, height)
    panels = figure.subplots(
        lines,
        columns,
        squeeze=False,
        sharey=sharey,
        gridspec_kw={
            "left": 0.06,
            "right": 0.99,
            "top": 1 - top / height,
            "bottom": 44 / height,
            "wspace": 0.1 if sharey else 0.28,
            "hspace": 0.55,
        },
    )
    flat = [axes for line in panels for axes in line]
    for axes, row in zip(flat, rows, strict=False):
        axes.set_title(textwrap.fill(row["name"], _NAME), fontsize=9)
    for axes in flat[len(rows) :]:
        axes.set_axis_off()
    return figure, flat[: len(rows)]


def _over_steps(document: Json, key: str) -> tuple[Figure, list[Axes]]:
    """An estimate of each checkpoint of both runs over training steps, one panel a row."""
    rows = followed(document)
    figure, panels = _grid(rows, 56, sharey=True)
    for axes, row in zip(panels, rows, strict=True):
        for run, line in _RUNS.items():
            points = row["pooled"]["dynamics"][run]
            x = [max(point["step"], 1) for point in points]
            lows, highs = zip(*(ends(point[key]) for point in points), strict=True)
            y = [mean(point[key]) for point in points]
            axes.fill_between(x, lows, highs, color=COLOURS[run], alpha=0.18, linewidth=0)
            axes.plot(x, y, line, marker="o", markersize=3.5, color=COLOURS[run], label=LABELS[run])
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=2, borderaxespad=0.1)
    figure.supxlabel("training step (log scale)", fontsize=10, color=COLOURS["muted"])
    return figure, panels


@styled
def courses(document: Json) -> Figure:
    """Similarity to each run's own final knowledge over training steps, one panel a row."""
    figure, panels = _over_steps(document, "similarity")
    panels[0].set_ylim(0, 1.03)
    return figure


@styled
def phases(document: Json) -> Figure:
    """Mean order of the interactions, weighted by strength, over training steps, one panel a row."""
    return _over_steps(document, "mean_order")[0]


@styled
def causal(document: Json) -> Figure:
    """Accuracy against preserved share of the fine-tuned models, by what was done to their start; one panel a row."""
    rows = disturbed(document)
    figure, panels = _grid(rows, 58, sharey=False)
    names: dict[str, Any] = {}
    for axes, row in zip(panels, rows, strict=True):
        for run in row["causal"]["runs"]:
            colour, marker = _STARTS[run["start"]]
            x, y = run["preserved"], run["accuracy"]
            (dot,) = axes.plot(x, y, marker, color=colour, markersize=7, alpha=0.85, linestyle="none")
            names.setdefault(run["start"], dot)
        axes.margins(0.12)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    panels[0].set_ylabel("accuracy")
    figure.supxlabel("preserved share", fontsize=10, color=COLOURS["muted"])
    figure.legend(
        list(names.values()),
        ["as pre-trained" if name == "none" else name for name in names],
        loc="upper center",
        ncols=len(names),
        borderaxespad=0.1,
    )
    return figure


# Name -> what draws it, the rows that it is of, its title.
ALL: dict[str, tuple[Callable[[Json], Figure], Callable[[Json], list[Json]], str]] = {
    "shares": (shares, finished, "Preserved share and R of every row"),
    "courses": (courses, followed, "Similarity to the final knowledge over training"),
    "phases": (phases, followed, "Mean order of the interactions over training"),
    "causal": (causal, disturbed, "Accuracy and preserved share of models fine-tuned from disturbed starts"),
}
