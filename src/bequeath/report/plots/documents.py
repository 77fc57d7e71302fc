"""What `bequeath rank` and `bequeath layers` measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes

from bequeath.errors import BequeathError
from bequeath.report.layers import draw_profile, draw_swaps
from bequeath.report.plots.axes import axes_or_new
from bequeath.report.ranking import draw_accuracies

Document = Mapping[str, Any]


def ranking(document: Document | str | Path, *, ax: Axes | None = None) -> Axes:
    """Accuracies on each candidate's frozen features, with 95% intervals, best first (`bequeath rank`).

    Parameters
    ----------
    document : mapping or path
        The content of ``rank.json``, or its path.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One row a candidate: shares of samples classified correctly, 0 to 1; higher is better.

    Raises
    ------
    BequeathError
        If there is no such file, or it is no ranking.

    Examples
    --------
    >>> import bequeath as bq
    >>> share = {"value": 0.8, "low": 0.7, "high": 0.9}
    >>> document = {
    ...     "order": ["resnet18"],
    ...     "candidates": {"resnet18": {"measures": {"probe": share, "knn": share}}},
    ...     "measures": {"probe": {"title": "linear probe"}, "knn": {"title": "nearest neighbours"}},
    ...     "data": {"majority": 0.5, "samples": 60},
    ... }
    >>> axes = bq.plots.ranking(document)
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['resnet18']
    """
    content = _document(document)
    with axes_or_new(ax, 560, 90 + 34 * len(content["order"])) as axes:
        draw_accuracies(axes, content)
        axes.legend()
        return axes


def layers(
    document: Document | str | Path, what: Literal["swaps", "profile"] = "swaps", *, ax: Axes | None = None
) -> Axes:
    """What putting blocks back does to accuracy, or how much each block changed (`bequeath layers`).

    Parameters
    ----------
    document : mapping or path
        The content of ``layers.json``, or its path.
    what : {"swaps", "profile"}
        Differences of accuracy with blocks put back; or CKA of the blocks' outputs and their parts of the gradient.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One row a block, with 95% intervals.

    Raises
    ------
    BequeathError
        If there is no such file, it is not of `bequeath layers`, or `what` is something else.

    Examples
    --------
    >>> import bequeath as bq
    >>> change = {"difference": {"mean": -0.1, "low": -0.2, "high": 0.0}}
    >>> document = {
    ...     "blocks": {"layer4": {"title": "layer4", "alone": change, "up_to": change}},
    ...     "settings": {"margin": 0.01},
    ...     "accuracy": {"after": {"mean": 0.9}},
    ...     "data": {"held_out": {"samples": 100}},
    ... }
    >>> axes = bq.plots.layers(document)
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['layer4']
    """
    draw = {"swaps": draw_swaps, "profile": draw_profile}.get(what)
    if draw is None:
        raise BequeathError(f'layers: what is "swaps" or "profile", not {what!r}')
    content = _document(document)
    with axes_or_new(ax, 600, 90 + 34 * len(content["blocks"])) as axes:
        draw(axes, content)
        axes.legend()
        return axes


def _document(given: Document | str | Path) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    try:
        content = json.loads(Path(given).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BequeathError(
            f"{given}: cannot be read as JSON ({error}); give rank.json or layers.json"
        ) from None
    if not isinstance(content, dict):
        raise BequeathError(f"{given}: not a document of bequeath rank or bequeath layers")
    return content
