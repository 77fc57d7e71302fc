"""The strongest interactions as bars."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bequeath.errors import BequeathError
from bequeath.knowledge.statistics import mean_estimate
from bequeath.lattice.interactions import Interactions
from bequeath.report.plots.axes import axes_or_new
from bequeath.report.plots.on_input import term_name
from bequeath.report.rows import named_rows
from bequeath.report.style import COLOURS


def interactions(interactions: Interactions, *, k: int = 10, ax: Axes | None = None) -> Axes:
    """The k strongest interactions as bars.

    Parameters
    ----------
    interactions : Interactions
        Of one sample: its effects, with standard errors where there are some. Of several: mean effects over the
        samples with their 95% intervals, those with the largest mean strength first.
    k : int
        How many.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Effects in units of the value function: to the right they raise it, to the left they lower it. AND
        interactions are dark, OR interactions light.

    Examples
    --------
    >>> import bequeath as bq, torch
    >>> effects = bq.decompose(torch.tensor([0.0, 1.0, 0.0, 3.0]), "and", players=["not", "good"])
    >>> axes = bq.plots.interactions(effects)
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['AND {not, good}', 'AND {not}']
    """
    rows = _one_sample(interactions, k) if not interactions.offset.ndim else _several(interactions, k)
    with axes_or_new(ax, 420, 70 + 26 * max(len(rows), 1)) as axes:
        for place, (_, kind, value, low, high) in enumerate(rows):
            colour = COLOURS["ink" if kind == "and" else "control-twin"]
            axes.barh(place, value, height=0.62, color=colour)
            axes.hlines(place, low, high, colors=COLOURS["after"], linewidth=1.6, zorder=4)
        named_rows(axes, [name for name, *_ in rows])
        axes.axvline(0, color=COLOURS["muted"], linewidth=1)
        samples = interactions.offset.numel()
        axes.set_xlabel(
            "effect on the value" if not interactions.offset.ndim else f"mean effect, {samples} samples [95%]"
        )
        return axes


_Row = tuple[str, str, float, float, float]


def _one_sample(one: Interactions, k: int) -> list[_Row]:
    rows = []
    for term in one.top(k):
        error = term.error if term.error is not None and np.isfinite(term.error) else 0.0
        rows.append((term_name(term), term.type, term.value, term.value - error, term.value + error))
    return rows


def _several(several: Interactions, k: int) -> list[_Row]:
    if several.offset.ndim > 1 or not len(several.offset):
        raise BequeathError(
            f"interactions: tables of shape {tuple(several.offset.shape)}; give one axis of samples, or one sample"
        )
    strength: dict[tuple[str, str], Any] = {}
    for sample in range(len(several.offset)):
        for term in several.terms(sample):
            effects = strength.setdefault((term.type, term_name(term)), np.zeros(len(several.offset)))
            effects[sample] = term.value
    strongest = sorted(strength.items(), key=lambda item: -float(np.abs(item[1]).mean()))[:k]
    rows = []
    for (kind, name), effects in strongest:
        mean = mean_estimate(effects)
        low, high = (mean.low, mean.high) if np.isfinite(mean.low) else (mean.mean, mean.mean)
        rows.append((name, kind, mean.mean, low, high))
    return rows
