"""Pictures with a named row for each item, and estimates with their intervals in it."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bequeath.report.figures import Estimate
from bequeath.report.models import short
from bequeath.report.style import COLOURS, canvas

_SHORT = 26


def row_canvas(width: int, rows: int) -> tuple[Figure, Axes]:
    """A figure of this width for so many named rows."""
    return canvas((width, 60 + 34 * rows), left=190, top=14, bottom=40, right=16)


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row for each name, the first on top."""
    axes.set_yticks(range(len(names)), [short(name, _SHORT) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")


def estimates(
    axes: Axes, values: Sequence[Estimate], shift: float, marker: str, colour: str, label: str
) -> None:
    """Draw an estimate with its interval in each row, `shift` below the middle. None is left out."""
    rows = [(place + shift, one) for place, one in enumerate(values) if one and one["mean"] is not None]
    ends = [(y, one) for y, one in rows if one["low"] is not None]
    lows, highs = ([one[key] for _, one in ends] for key in ("low", "high"))
    axes.hlines([y for y, _ in ends], lows, highs, colors=COLOURS[colour], linewidth=1.6)
    means = [one["mean"] for _, one in rows]
    axes.plot(means, [y for y, _ in rows], marker, color=COLOURS[colour], markersize=6, label=label)
