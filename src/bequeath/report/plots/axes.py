"""Axes to draw on: the caller's, or new ones in the house style."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.style
from matplotlib.axes import Axes

from bequeath.report.style import RC


@contextmanager
def axes_or_new(ax: Axes | None, width: int, height: int) -> Iterator[Axes]:
    """The given axes with the caller's own settings; or those of a new pyplot figure of this size, in pixels."""
    if ax is not None:
        yield ax
        return
    from matplotlib import pyplot

    with matplotlib.style.context(["default", RC]):
        _, axes = pyplot.subplots(figsize=(width / 72, height / 72), layout="constrained")
        yield axes
