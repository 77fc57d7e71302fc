"""How figures look, and how one becomes an SVG string: one colour for one meaning, everywhere."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from typing import ParamSpec

import matplotlib.style
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

P = ParamSpec("P")

# More lines than these cannot be told apart; further orders are drawn in groups.
SHADES = 6


def _shades(low: float, high: float) -> dict[str, str]:
    # From low orders to high ones, in even steps of lightness, which colour-blind readers see too.
    shades = matplotlib.colormaps["plasma"](np.linspace(low, high, SHADES))
    return {f"orders-{place}": to_hex(shade) for place, shade in enumerate(shades)}


# Okabe and Ito's palette, which stays apart under the common colour-vision deficiencies; grey for the control, lighter
# shades for twins; black, and a yellow that is dark enough to be seen on paper, for models without a role. Lower case,
# because matplotlib writes hex colours so and `to_svg` looks for them.
COLOURS = {
    "before": "#0072b2",
    "after": "#d55e00",
    "control": "#6f7782",
    "before-twin": "#6fb1d8",
    "after-twin": "#eb9a5f",
    "control-twin": "#a9b0b9",
    "other-0": "#000000",
    "other-1": "#968a00",
    "preserved": "#009e73",
    "discarded": "#e69f00",
    "new": "#cc79a7",
    "relearned": "#56b4e9",
    "flipped": "#8a5a44",
    "ink": "#1c2128",
    "muted": "#5b636e",
    "line": "#d5d9df",
    "paper": "#ffffff",
    **_shades(0.64, 0.0),
}
DARK = {
    "before": "#4fa8de",
    "after": "#f08a4b",
    "control": "#a3abb6",
    "before-twin": "#2f6f99",
    "after-twin": "#a85c2c",
    "control-twin": "#727a85",
    "other-0": "#ffffff",
    "other-1": "#f0e442",
    "preserved": "#2fbd93",
    "discarded": "#efb43c",
    "new": "#dd98bd",
    "relearned": "#8accf2",
    "flipped": "#c39479",
    "ink": "#e6e9ee",
    "muted": "#a2aab5",
    "line": "#3a414b",
    "paper": "#15181d",
    **_shades(1.0, 0.42),
}
KINDS = {"all": "AND + OR", "and": "AND", "or": "OR"}

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    # A dollar sign in a user's name is a dollar sign.
    "text.parse_math": False,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.labelsize": 10.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": COLOURS["ink"],
    "axes.facecolor": COLOURS["paper"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.7,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.8,
    "figure.facecolor": COLOURS["paper"],
    # Text stays text: selectable, searchable, in the page's own font.
    "svg.fonttype": "none",
    # Without a fixed salt every run names its clip paths differently.
    "svg.hashsalt": "bequeath",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the house style, independent of the user's matplotlibrc, which stays as it is."""

    @functools.wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", RC]):
            return draw(*args, **kwargs)

    return inner


def canvas(
    size: tuple[int, int], left: int = 54, top: int = 26, bottom: int = 40, right: int = 10
) -> tuple[Figure, Axes]:
    """A figure with one axes. Sizes and margins are CSS pixels: one SVG unit is shown as one pixel.

    Margins are fixed: the axes of figures side by side stay aligned, and fitting doubles the time.
    """
    width, height = size
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasAgg(figure)
    inside = (width - left - right, height - top - bottom)
    axes = figure.add_axes((left / width, bottom / height, inside[0] / width, inside[1] / height))
    return figure, axes


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the legend below the axes, where it hides no data. The figure grows, and the axes keep their size."""
    handles, labels = axes.get_legend_handles_labels()
    width, height = 72 * figure.get_size_inches()
    # A letter takes about 6.3 pixels, its line or marker and the gap to the next entry 42.
    columns = max(1, min(len(labels), int(width // (42 + 6.3 * max(map(len, labels), default=1)))))
    more = 4 + 15 * -(-len(labels) // columns)
    left, low, wide, high = axes.get_position().bounds
    grown = height + more
    figure.set_size_inches(width / 72, grown / 72)
    axes.set_position((left, (low * height + more) / grown, wide, high * height / grown))
    place = (min(left, 0.13), 0)
    gaps = {"borderaxespad": 0.1, "labelspacing": 0.35, "columnspacing": 1.2, "handlelength": 2.4}
    figure.legend(handles, labels, loc="lower left", bbox_to_anchor=place, ncols=columns, **gaps)


@styled
def _drawn(figure: Figure, buffer: io.StringIO) -> Figure:
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    return figure


def to_svg(figure: Figure, name: str, title: str, description: str, *, inline: bool = True) -> Markup:
    """Turn a figure into an SVG element with a text alternative, which follows the page's colours.

    Parameters
    ----------
    figure
        Any figure of this package.
    name
        Unique on the page; prefixes every id inside the SVG, so that figures keep to their own clip paths.
    title, description
        The text alternative.
    inline
        Each colour is written as `var(--meaning, #hex)`: a page may redefine it for the dark. False: as it is, for a
        file of its own; viewers and converters other than browsers know no variables and draw all in black.

    Returns
    -------
    Markup
        An `<svg>` element. The same figure always gives the same string.
    """
    buffer = io.StringIO()
    _drawn(figure, buffer)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    if inline:
        for meaning, colour in COLOURS.items():
            svg = svg.replace(colour, f"var(--{meaning}, {colour})")
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" viewBox="0 0 {width} {height}" '
        f'style="max-width: {round(1.22 * width)}px">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1).strip())
