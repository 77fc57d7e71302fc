"""Plots on matplotlib axes: each function takes axes (or makes some) and returns them, so that plots can be composed.

The module is `bequeath.plots`. Colours mean the same as in the report.
"""

from bequeath.report.plots.comparisons import by_order, courses, share, shares
from bequeath.report.plots.documents import layers, ranking
from bequeath.report.plots.on_input import on_image, on_text
from bequeath.report.plots.terms import interactions

__all__ = [
    "by_order",
    "courses",
    "interactions",
    "layers",
    "on_image",
    "on_text",
    "ranking",
    "share",
    "shares",
]


def __dir__() -> list[str]:
    return __all__
