"""The strongest interactions of one sample, drawn where their players are: on the picture, or in the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.games.players import Binds, players_of
from bequeath.lattice.interactions import Interactions, Term
from bequeath.lattice.subsets import members
from bequeath.printable import printable
from bequeath.report.plots.axes import axes_or_new
from bequeath.report.style import COLOURS
from bequeath.report.text import signed

# Terms are told apart by these colours of the palette, in this order.
_TERM_COLOURS = [COLOURS[key] for key in ("after", "before", "preserved", "new", "discarded", "relearned")]
# Letters of one line of text.
_LINE = 72


def one_table(interactions: Interactions, function: str) -> Interactions:
    """The interactions, if they are of one sample."""
    if interactions.offset.ndim:
        raise BequeathError(
            f"{function}: interactions of {tuple(interactions.offset.shape)} samples; give those of one, such as "
            "interactions[0]"
        )
    return interactions


def term_name(term: Term) -> str:
    """Such as ``AND {good, film}``."""
    return f"{term.type.upper()} {printable(term.name)}"


def on_image(
    interactions: Interactions, image: Any, players: Binds, *, k: int = 3, ax: Axes | None = None
) -> Axes:
    """The picture with the players of its k strongest interactions outlined, one colour for each interaction.

    Parameters
    ----------
    interactions : Interactions
        Of one sample.
    image : Tensor, ndarray or PIL image
        The sample: (channels, height, width) as the model wants it, (height, width, channels) or (height, width).
        Floats beyond 0..1, such as normalised inputs, are stretched to that range.
    players
        The players of the game, such as ``bq.players.grid(4, 4)``.
    k : int
        How many interactions, 1 to 6.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; the legend gives each interaction's type and effect, in units of the value function.

    Raises
    ------
    BequeathError
        If the interactions are of several samples, or the players have no places in the picture or are not as many.

    Examples
    --------
    >>> import bequeath as bq, torch
    >>> players = bq.players.grid(2, 2)
    >>> effects = bq.decompose(torch.arange(16.0), "and")
    >>> axes = bq.plots.on_image(effects, torch.rand(3, 8, 8), players, k=2)
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['AND +8.00', 'AND +4.00']
    """
    one_table(interactions, "on_image")
    if not 1 <= k <= len(_TERM_COLOURS):
        raise BequeathError(f"on_image: k is {k}; outlines of 1 to {len(_TERM_COLOURS)} can be told apart")
    picture = _picture(image)
    height, width = picture.shape[:2]
    family = players_of(players)
    boxes = family.boxes()
    areas = None if boxes is not None else family.label_map(image)
    if boxes is None and areas is None:
        raise BequeathError(f"on_image: {players}: these players have no places in a picture; try on_text")
    count = len(boxes) if boxes is not None else int(np.max(areas)) + 1  # type: ignore[arg-type]
    if count != interactions.n_players:
        raise BequeathError(f"on_image: {count} players for interactions of {interactions.n_players}")
    with axes_or_new(ax, 320, 340) as axes:
        axes.imshow(
            picture,
            cmap="gray" if picture.ndim == 2 else None,
            extent=(0, width, height, 0),
            interpolation="nearest",
        )
        for place, term in enumerate(interactions.top(k)):
            colour = _TERM_COLOURS[place]
            for player in members(term.subset, interactions.n_players):
                if boxes is not None:
                    axes.add_patch(_inside(boxes[player], width, height, place, colour))
                elif areas is not None:
                    _outline(axes, areas == player, width, height, colour)
            axes.plot(
                [], [], "s", markersize=9, color=colour, label=f"{term.type.upper()} {signed(term.value)}"
            )
        axes.set_axis_off()
        if interactions.top(1):
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, frameon=False)
        return axes


def _picture(image: Any) -> NDArray[Any]:
    """Pixels as matplotlib draws them: (height, width) or (height, width, 3 or 4)."""
    pixels = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise BequeathError(
            f"on_image: a picture of shape {pixels.shape}; give (channels, height, width), (height, width, channels) "
            "or (height, width)"
        )
    if pixels.dtype == np.uint8:
        return pixels
    pixels = pixels.astype(np.float64)
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and high <= 1:
        return pixels
    return (pixels - low) / (high - low or 1.0)


def _inside(
    box: tuple[float, float, float, float], width: int, height: int, place: int, colour: str
) -> Rectangle:
    """A player's outline; the second term's lies within the first's, so that both are seen."""
    x0, y0, x1, y1 = box
    gap = min((x1 - x0) * width, (y1 - y0) * height) * (0.04 + 0.09 * place)
    corner = (x0 * width + gap, y0 * height + gap)
    size = ((x1 - x0) * width - 2 * gap, (y1 - y0) * height - 2 * gap)
    return Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=2.2)


def _outline(axes: Axes, inside: NDArray[np.bool_], width: int, height: int, colour: str) -> None:
    """The outline of an area of any shape, in the coordinates of the picture."""
    rows, columns = inside.shape
    x = (np.arange(-1, columns + 1) + 0.5) * width / columns
    y = (np.arange(-1, rows + 1) + 0.5) * height / rows
    axes.contour(x, y, np.pad(inside, 1).astype(float), levels=[0.5], colors=[colour], linewidths=2.2)


def on_text(
    interactions: Interactions, words: Sequence[str] | None = None, *, k: int = 5, ax: Axes | None = None
) -> Axes:
    """The text once for each of its k strongest interactions, with the players of the interaction marked.

    Parameters
    ----------
    interactions : Interactions
        Of one sample.
    words : sequence of str, optional
        What stands in each player's place, in the order of the players; their names by default.
    k : int
        How many interactions.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; beside each line stand the interaction's type and effect, in units of the value function.

    Raises
    ------
    BequeathError
        If the interactions are of several samples, or the words are not as many as the players.

    Examples
    --------
    >>> import bequeath as bq, torch
    >>> effects = bq.decompose(torch.tensor([0.0, 1.0, 0.0, 3.0]), "and", players=["not", "good"])
    >>> axes = bq.plots.on_text(effects, k=2)
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['AND +2.00', 'AND +1.00']
    """
    one_table(interactions, "on_text")
    words = [printable(word) for word in (interactions.players if words is None else words)]
    if len(words) != interactions.n_players:
        raise BequeathError(f"on_text: {len(words)} words for {interactions.n_players} players")
    terms = interactions.top(k)
    places, lines = _lines(words)
    with axes_or_new(ax, 640, 40 + 22 * max(1, len(terms)) * lines) as axes:
        longest = max((x + len(word) for word, (x, _) in zip(words, places, strict=True)), default=1)
        size = _font_size(axes, longest)
        for row, term in enumerate(terms):
            marked = set(members(term.subset, interactions.n_players))
            for player, (word, (x, line)) in enumerate(zip(words, places, strict=True)):
                colour = COLOURS["before" if term.value > 0 else "after"]
                looks: dict[str, Any] = {"color": COLOURS["muted"]}
                if player in marked:
                    looks = {
                        "color": COLOURS["paper"],
                        "bbox": {"facecolor": colour, "edgecolor": "none", "pad": 1.5},
                    }
                axes.text(x, row * lines + line, word, family="monospace", size=size, va="center", **looks)
        axes.set_xlim(-1, longest + 1)
        axes.set_ylim(max(1, len(terms)) * lines - 0.4, -0.6)
        axes.set_yticks(
            [row * lines for row in range(len(terms))],
            [f"{term.type.upper()} {signed(term.value)}" for term in terms],
        )
        axes.set_xticks([])
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
        return axes


def _lines(words: Sequence[str]) -> tuple[list[tuple[int, int]], int]:
    """Where each word begins, as letter and line, and how many lines there are."""
    places, x, line = [], 0, 0
    for word in words:
        if x and x + len(word) > _LINE:
            x, line = 0, line + 1
        places.append((x, line))
        x += len(word) + 1
    return places, line + 1


def _font_size(axes: Axes, letters: int) -> float:
    """The size at which so many letters of a monospaced font fill the axes, 10 points at most."""
    figure = axes.figure
    inches = axes.get_position().width * figure.get_figure(root=True).get_size_inches()[0]
    # A letter is 0.6 of the font's size wide; labels of the rows take some of the width.
    return float(min(10.0, 0.82 * 72 * inches / (0.6 * (letters + 2))))
