"""Shares on their scale, by order, and over training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from bequeath.errors import BequeathError
from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.dynamics import Dynamics
from bequeath.knowledge.roles import ROLES
from bequeath.knowledge.share import Share
from bequeath.lattice.interactions import Interactions
from bequeath.report import curves, scales
from bequeath.report.plots.axes import axes_or_new
from bequeath.report.rows import estimates, named_rows
from bequeath.report.style import COLOURS, KINDS
from bequeath.report.text import measured, percent, why_not


class HasFindings(Protocol):
    """A run: what has findings."""

    @property
    def findings(self) -> dict[str, Any]:
        """As docs/findings.md describes them."""


def share(share: Share, *, name: str = "in common", ax: Axes | None = None) -> Axes:
    """A share on its scale from chance (0%) to the same models read again (100%), with its 95% interval.

    Parameters
    ----------
    share : Share
        A measurable one: of preserved or relearned; of discarded or new, whose other side is drawn with it.
    name : str
        What it is a share of, such as ``"preserved"``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BequeathError
        If the share is not measurable; the reason is named.

    Examples
    --------
    >>> import bequeath as bq
    >>> share = bq.Share(0.08, 0.04, 0.18, 0.29, 0.2, 0.36, 0.0005, 30, None)
    >>> axes = bq.plots.share(share, name="preserved")
    >>> axes.get_title("left")
    'Preserved: 29% [20%, 36%]'
    """
    plain = share.to_dict()
    if not measured(plain):
        raise BequeathError(f"share: not measurable: {why_not(plain)}")
    words, colours = (name, "the rest"), ("preserved", "discarded")
    if share.is_rest:
        plain, words, colours = scales.common(plain), ("in common", name), ("preserved", "new")
    with axes_or_new(ax, 460, 150) as axes:
        return scales.draw_scale(axes, words[0].capitalize(), plain, colours, words)


def shares(comparison: Comparison | HasFindings, *, ax: Axes | None = None) -> Axes:
    """All shares of a comparison between chance (0%) and the same models read again (100%), with 95% intervals.

    Parameters
    ----------
    comparison : Comparison or Run
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One row a share, with its observed value, its chance level (floor) and its ceiling in words; a share that is
        not measurable has its reason instead of a point.

    Examples
    --------
    >>> import bequeath as bq, torch
    >>> tables = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    >>> before, after = bq.decompose(tables, "and"), bq.decompose(tables.flip(0), "and")
    >>> axes = bq.plots.shares(bq.compare(before=before, after=after))
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['preserved', 'discarded', 'new']
    """
    if isinstance(comparison, Comparison):
        drawn = {name: comparison.share(name).to_dict() for name in comparison.measures}
    else:
        drawn = comparison.findings["knowledge"]["shares"]
    with axes_or_new(ax, 560, 70 + 44 * len(drawn)) as axes:
        for place, (name, one) in enumerate(drawn.items()):
            if measured(one):
                row: list[Any] = [None] * place + [one | {"mean": one["corrected"]}]
                estimates(axes, row, 0.0, "o", name, name)
                levels = (f"{level} {percent(one[level])}" for level in ("observed", "floor", "ceiling"))
                words = ", ".join(levels)
            else:
                words = f"not measurable: {why_not(one)}"
            axes.text(
                0.5, place + 0.36, words, ha="center", va="center", size=9, color=COLOURS["muted"],
                transform=axes.get_yaxis_transform(),
            )  # fmt: skip
        for level in (0, 1):
            axes.axvline(level, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        named_rows(axes, list(drawn))
        axes.set_ylim(len(drawn) - 0.4, -0.5)
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -0.05), max(high, 1.05))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("corrected share: 0% is chance, 100% the same models read again")
        return axes


def by_order(
    of: Interactions | Comparison | HasFindings,
    name: Literal["preserved", "relearned"] = "preserved",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Interactions: strength by order. A comparison or a run: a corrected share by order.

    Parameters
    ----------
    of : Interactions, Comparison or Run
    name : {"preserved", "relearned"}
        Which share; not used for interactions.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Strengths are mean sums of abs(I) over a sample's interactions of one order, in units of the value function.
        Shares have their 95% intervals; those that are not measurable are left out.

    Examples
    --------
    >>> import bequeath as bq, torch
    >>> axes = bq.plots.by_order(bq.decompose(torch.tensor([0.0, 1.0, 0.0, 3.0]), "and"))
    >>> axes.get_xlabel()
    'order (players in the interaction)'
    """
    with axes_or_new(ax, 430, 280) as axes:
        if not isinstance(of, Interactions):
            if isinstance(of, Comparison):
                drawn = [one.to_dict() for one in of.strengths.by_orders(name)]
            else:
                drawn = of.findings["knowledge"]["shares_by_order"][name]
            return scales.draw_by_order(axes, drawn, name)
        strength = of.strength_by_order().reshape(-1, 2, of.n_players + 1).mean(0)
        most = int((strength.sum(0) > 0).nonzero().max()) if strength.any() else 1
        orders, below = np.arange(1, most + 1), np.zeros(most)
        for kind, row, colour in (("and", 0, "ink"), ("or", 1, "control-twin")):
            height = strength[row, 1 : most + 1].numpy()
            axes.bar(orders, height, bottom=below, width=0.72, color=COLOURS[colour], label=KINDS[kind])
            below = below + height
        axes.set_ylim(0, 1.06 * max(float(below.max()), 1e-12))
        axes.set_xlabel("order (players in the interaction)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=16, integer=True, min_n_ticks=1))
        axes.set_ylabel("mean strength per sample")
        axes.legend()
        return axes


def courses(runs: Mapping[str, Dynamics] | HasFindings, *, ax: Axes | None = None) -> Axes:
    """How near each run's checkpoints are to its own final knowledge: 0 is chance, 1 the last checkpoint read again.

    Parameters
    ----------
    runs : mapping of str to Dynamics, or Run
        By name, as `bequeath.dynamics` makes them; names ``before``, ``after``, ``control`` have the roles' colours.
        Or a run of a study with checkpoints.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Corrected similarity over training steps, on a log(1 + step) axis, with 95% intervals.

    Raises
    ------
    BequeathError
        If the run has no checkpoints.

    Examples
    --------
    >>> import bequeath as bq, torch
    >>> effects = torch.rand(3, 10, 2, 4, generator=torch.Generator().manual_seed(0)).double()
    >>> run = bq.dynamics(effects, steps=[0, 10, 100], orders=torch.tensor([1, 1, 2, 2]))
    >>> axes = bq.plots.courses({"after": run})
    >>> [int(step) for step in axes.lines[0].get_xdata()]
    [0, 10, 100]
    """
    findings = _courses(runs) if isinstance(runs, Mapping) else runs.findings
    if not findings["dynamics"]:
        raise BequeathError("courses: no checkpoints; name them in the study file (checkpoints:)")
    with axes_or_new(ax, 460, 300) as axes:
        curves.draw_course(axes, findings)
        axes.legend()
        return axes


def _courses(runs: Mapping[str, Dynamics]) -> dict[str, Any]:
    """Runs in the form of the findings, as far as `curves.draw_course` reads them."""
    return {
        "models": {name: {"role": name if name in ROLES else None} for name in runs},
        "dynamics": {
            "runs": {
                name: [
                    {"step": int(step), "corrected": similarity.to_dict()}
                    for step, similarity in zip(run.steps, run.approach.corrected(), strict=True)
                ]
                for name, run in runs.items()
            }
        },
    }
