"""Figures of curves: over training steps, and over the number of interactions. One function, one figure."""

# ruff: noqa: RUF001 -- the page prints real dashes.

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from bequeath.report.figures import LARGE, SMALL, Estimate, Findings, ends, mean
from bequeath.report.models import models, short
from bequeath.report.style import COLOURS, SHADES, canvas, legend_below, styled


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers inside low..high: powers of ten, with 2 and 5 between them where there are few."""
    decades = range(math.floor(math.log10(max(low, 1))), math.ceil(math.log10(max(high, 1))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        inside = [float(s * 10**d) for d in decades for s in steps if low <= s * 10**d <= high]
        if len(inside) >= 3:
            return inside
    return inside


def _log_axis(
    axes: Axes, values: list[float], label: str, *, shifted: bool = False, few: bool = False
) -> None:
    # Step 0 has no logarithm. The area under similarity is taken over log(1 + step), so that is the axis drawn:
    # what one sees is what is measured.
    if shifted:
        axes.set_xscale("function", functions=(np.log1p, np.expm1))
    else:
        axes.set_xscale("log")
    low, high = min(values), max(values)
    start, end = (np.log1p if shifted else np.log)([low, high])
    pad = 0.05 * (end - start) or 0.5
    axes.set_xlim(*(np.expm1 if shifted else np.exp)([start - pad, end + pad]))
    ticks = ([0.0] if low < 1 else []) + _ticks(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks[:: 2 if few and len(ticks) > 4 else 1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel(label)


def _curve(
    axes: Axes, points: list[dict[str, Any]], estimates: list[Estimate], colour: str, **line: Any
) -> None:
    steps = [float(point["step"]) for point in points]
    lows, highs = zip(*(ends(e) for e in estimates), strict=True)
    axes.fill_between(steps, lows, highs, color=colour, alpha=0.18, linewidth=0)
    axes.plot(steps, [mean(e) for e in estimates], color=colour, **line)


def _step_axis(axes: Axes, findings: Findings, large: bool) -> None:
    steps = [float(point["step"]) for points in findings["dynamics"]["runs"].values() for point in points]
    label = "training step (log scale)" if large else "step"
    _log_axis(axes, steps, label, shifted=True, few=not large)


def _over_steps(axes: Axes, findings: Findings, key: str, *, order: int = 0) -> None:
    """Draw one estimate of each checkpoint of every run; of a list over orders, the estimate of one order."""
    large, looks = not order, models(findings)
    for name, points in findings["dynamics"]["runs"].items():
        look = looks[name]
        estimates = [point[key][order - 1] if order else point[key] for point in points]
        style = {"marker": look.marker, "linestyle": look.line, "markersize": 4.5 if large else 3}
        _curve(axes, points, estimates, COLOURS[look.colour], label=short(name), **style)
    _step_axis(axes, findings, large)


@styled
def similarity_over_steps(findings: Findings, order: int = 0) -> Figure:
    """Similarity of each run's interactions to those of its own last checkpoint.

    Parameters
    ----------
    findings
        A findings document with dynamics.
    order
        0: all orders together, corrected (0 is chance, 1 the last checkpoint read again), in a large figure; else this
        order only, as counted, in a small one without a legend.
    """
    if not order:
        figure, axes = canvas(LARGE)
        draw_course(axes, findings)
        legend_below(figure, axes)
        return figure
    figure, axes = canvas(SMALL, left=36, top=24, bottom=36)
    _over_steps(axes, findings, "by_order", order=order)
    axes.set_ylim(0, 1.03)
    axes.set_title(f"Order {order}")
    return figure


def draw_course(axes: Axes, findings: Findings) -> Axes:
    """Corrected similarity of each run's checkpoints to its last one: 0 is chance, 1 the last checkpoint read again.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    findings
        A findings document with dynamics.

    Returns
    -------
    matplotlib.axes.Axes
        The same: training steps on a log(1 + step) axis, with 95% intervals.
    """
    _over_steps(axes, findings, "corrected")
    points = [point["corrected"] for run in findings["dynamics"]["runs"].values() for point in run]
    limits = [x for e in points for x in ends(e) if not math.isnan(x)]
    axes.set_ylim(min([-0.03, *limits]), max([1.03, *limits]))
    for level in (0, 1):
        axes.axhline(level, color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.text(
        0.99,
        0,
        "chance",
        ha="right",
        va="bottom",
        color=COLOURS["muted"],
        size=9.5,
        transform=axes.get_yaxis_transform(),
    )
    axes.set_title("Similarity to the run's own final state, corrected")
    axes.set_ylabel("from chance to same model")
    return axes


@styled
def levels_over_steps(findings: Findings) -> Figure:
    """Similarity of each run's interactions to those of its own last checkpoint, as counted, with its chance level."""
    figure, axes = canvas(LARGE)
    looks = models(findings)
    for name, points in findings["dynamics"]["runs"].items():
        steps = [float(point["step"]) for point in points]
        floor = [mean(point["floor"]) for point in points]
        axes.plot(steps, floor, color=COLOURS[looks[name].colour], alpha=0.5, linewidth=1, linestyle=":")
    _over_steps(axes, findings, "observed")
    legend_below(figure, axes)
    top = [ends(point["observed"])[1] for run in findings["dynamics"]["runs"].values() for point in run]
    axes.set_ylim(0, 1.06 * max((x for x in top if x > 0), default=1.0))
    axes.set_title("Similarity as counted, and by chance")
    axes.set_ylabel("similarity")
    return figure


@styled
def accuracy_over_steps(findings: Findings) -> Figure:
    """Accuracy of every run, on the step axis of `similarity_over_steps`."""
    figure, axes = canvas(LARGE)
    _over_steps(axes, findings, "accuracy")
    legend_below(figure, axes)
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title("Accuracy")
    axes.set_ylabel("accuracy")
    return figure


@styled
def stopping_over_steps(findings: Findings, run: str) -> Figure:
    """One run: held-out accuracy, the share left of the model before, and the reliability of added interactions.

    Parameters
    ----------
    findings
        A findings document with dynamics.
    run
        Name of a model that was followed.
    """
    figure, axes = canvas(LARGE)
    points = findings["dynamics"]["runs"][run]
    before = short(findings["roles"]["before"])
    absent: Estimate = {"mean": None, "low": None, "high": None}
    kept: list[Estimate] = [
        absent if share["reason"] else {**share, "mean": share["corrected"]}
        for share in (point["kept"] for point in points)
    ]
    added: list[Estimate] = [
        absent if point["added"] is None else point["added"]["reliability"] for point in points
    ]
    for label, estimates, colour, marker in (
        ("accuracy", [point["accuracy"] for point in points], "ink", "o"),
        (f"left of {before}, corrected", kept, "preserved", "s"),
        ("reliability of what was added", added, "new", "^"),
    ):
        if any(one is not None and one["mean"] is not None for one in estimates):
            _curve(axes, points, estimates, COLOURS[colour], label=label, marker=marker, markersize=4.5)
    _step_axis(axes, findings, True)
    axes.axhline(0, color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.set_ylim(top=1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title(f"{short(run, 28)}: when to stop")
    axes.set_ylabel("share")
    legend_below(figure, axes)
    return figure


def _grouped(by_order: list[Estimate]) -> dict[str, Estimate]:
    """Strengths of orders 1 to n in groups of equal size, by the names of the groups; the last group may be smaller."""
    size = math.ceil(len(by_order) / SHADES)
    groups: dict[str, Estimate] = {}
    for start in range(0, len(by_order), size):
        inside = by_order[start : start + size]
        name = f"{start + 1}" if len(inside) == 1 else f"{start + 1}–{start + len(inside)}"
        low, high = (sum(side) for side in zip(*(ends(e) for e in inside), strict=True))
        groups[name] = {"mean": sum(mean(e) for e in inside), "low": low, "high": high}
    return groups


@styled
def strength_over_steps(findings: Findings, run: str) -> Figure:
    """One run's strength by order: one line for each group of neighbouring orders, on the same axes for all runs.

    The band of a group is the sum of its orders' intervals, which is wider than the interval of the sum.

    Parameters
    ----------
    findings
        A findings document with dynamics.
    run
        Name of a model that was followed.
    """
    figure, axes = canvas(LARGE, right=62)
    grouped = {
        name: [_grouped(point["strength_by_order"]) for point in points]
        for name, points in findings["dynamics"]["runs"].items()
    }
    groups = list(grouped[run][0])
    for place, group in enumerate(groups):
        estimates = [strengths[group] for strengths in grouped[run]]
        shade = COLOURS[f"orders-{round(place * (SHADES - 1) / max(len(groups) - 1, 1))}"]
        _curve(
            axes, findings["dynamics"]["runs"][run], estimates, shade, label=group, marker="o", markersize=4
        )
    _step_axis(axes, findings, True)
    estimates = [e for points in grouped.values() for strengths in points for e in strengths.values()]
    axes.set_ylim(0, 1.03 * max((ends(e)[1] for e in estimates if ends(e)[1] > 0), default=1.0))
    axes.set_title(f"{short(run, 28)}: strength by order")
    axes.set_ylabel("mean strength per sample")
    # Beside the axes, where no line can lie under it.
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="order", handlelength=1)
    return figure


@styled
def mean_order_over_steps(findings: Findings) -> Figure:
    """Mean order of every run's interactions, weighted by strength, on the step axis of the other figures."""
    figure, axes = canvas(LARGE)
    _over_steps(axes, findings, "mean_order")
    legend_below(figure, axes)
    axes.set_title("Mean order, weighted by strength")
    axes.set_ylabel("mean order")
    return figure


@styled
def sparsity_curve(findings: Findings) -> Figure:
    """Share of all strength that the strongest 1, 2, 5, ... interactions carry, for each model."""
    figure, axes = canvas(LARGE)
    counts = [float(count) for count in findings["faithfulness"]["sparsity_at"]]
    for name, model in models(findings).items():
        shares = findings["faithfulness"]["sparsity"][name]
        look = {"marker": model.marker, "linestyle": model.line, "color": COLOURS[model.colour]}
        axes.plot(counts[: len(shares)], shares, markersize=4.5, label=short(name), **look)
    _log_axis(axes, counts, "strongest interactions counted (log scale)")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title("How few interactions carry the output")
    axes.set_ylabel("share of all strength")
    legend_below(figure, axes)
    return figure
