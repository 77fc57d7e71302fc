"""Which layers had to change: its pictures, its page, its table in a terminal; all from layers.json alone."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from rich.markup import escape
from rich.table import Table

from bequeath.printable import all_printable
from bequeath.report import style
from bequeath.report.rows import estimates, named_rows, row_canvas
from bequeath.report.style import COLOURS, legend_below, styled
from bequeath.report.templates import environment
from bequeath.report.text import NONE, corrected, difference, fixed, number, percent, small, why_not

Document = dict[str, Any]


def share_of(swap: dict[str, Any]) -> str:
    """The corrected preserved share, "not measurable", or a dash where it was not asked for."""
    return NONE if swap["preserved"] is None else corrected(swap["preserved"])


def alike(row: dict[str, Any]) -> str:
    """CKA with its interval, or a dash."""
    if row["mean"] is None:
        return NONE
    return f"{fixed(row['mean'], 2)} [{fixed(row['low'], 2)}, {fixed(row['high'], 2)}]"


def gradient(row: dict[str, Any]) -> str:
    """A relative gradient norm with its interval."""
    value = row["value"]
    if value["mean"] is None:
        return NONE
    return f"{small(value['mean'])} [{small(value['low'])}, {small(value['high'])}]"


def part(row: dict[str, Any]) -> str:
    """The block's part of the sum over blocks; in brackets, the same with shuffled labels."""
    own, shuffled = row["part"], row["part_shuffled"]
    if own is None or own["mean"] is None:
        return NONE
    return f"{percent(own['mean'])} ({percent(shuffled['mean'])})"


def _rows(axes: Axes, document: Document) -> list[str]:
    named_rows(axes, [block["title"] for block in document["blocks"].values()])
    return list(document["blocks"])


def draw_swaps(axes: Axes, document: Document) -> Axes:
    """Accuracy with each block put back alone, and with all blocks up to it, less that of the model after.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    document
        The content of layers.json.

    Returns
    -------
    matplotlib.axes.Axes
        The same: percentage points, one row a block, 95% intervals.
    """
    names = _rows(axes, document)
    blocks = document["blocks"]
    for shift, marker, colour, label, key in (
        (-0.16, "D", "after", "this block alone put back", "alone"),
        (0.16, "o", "before", "all blocks up to this one put back, new heads", "up_to"),
    ):
        row_estimates = [blocks[name][key]["difference"] for name in names]
        estimates(axes, row_estimates, shift, marker, colour, label)
    axes.axvline(0, color=COLOURS["muted"], linewidth=1)
    margin = document["settings"]["margin"]
    axes.axvline(
        -margin, color=COLOURS["muted"], linewidth=1, linestyle="--", label="a loss that is accepted"
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.set_xlabel(
        f"accuracy less that of AFTER, percentage points ({percent(document['accuracy']['after']['mean'])} of "
        f"{document['data']['held_out']['samples']})"
    )
    return axes


def draw_profile(axes: Axes, document: Document) -> Axes:
    """CKA of each block's outputs, and its part of the sum of relative gradient norms, with 95% intervals.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    document
        The content of layers.json.

    Returns
    -------
    matplotlib.axes.Axes
        The same, from 0 to 1, one row a block.
    """
    names = _rows(axes, document)
    blocks = document["blocks"]
    for shift, marker, colour, label, (section, key) in (
        (-0.2, "s", "preserved", "CKA of outputs before and after", ("similarity", None)),
        (0.06, "o", "after", "part of relative gradient norms", ("gradient", "part")),
        (0.26, "x", "muted", "the same, labels shuffled", ("gradient", "part_shuffled")),
    ):
        row_estimates = [
            blocks[name][section] if key is None else blocks[name][section][key] for name in names
        ]
        estimates(axes, row_estimates, shift, marker, colour, label)
    axes.axvline(0, color=COLOURS["muted"], linewidth=1)
    axes.axvline(1, color=COLOURS["muted"], linewidth=1)
    axes.set_xlabel("0: independent outputs, no gradient; 1: the same outputs, the only gradient")
    return axes


@styled
def swaps_figure(document: Document) -> Figure:
    """What putting blocks back does to accuracy."""
    return _figure(document, draw_swaps)


@styled
def profile_figure(document: Document) -> Figure:
    """The similarity of each block's outputs, and its part of the gradient."""
    return _figure(document, draw_profile)


def _figure(document: Document, draw: Any) -> Figure:
    document = all_printable(document)
    figure, axes = row_canvas(600, len(document["blocks"]))
    draw(axes, document)
    legend_below(figure, axes)
    return figure


def terminal(document: Document) -> list[Table | str]:
    """What a terminal shows, in this order: tables of rich, and sentences."""
    document = all_printable(document)
    held_out, accuracy = document["data"]["held_out"], document["accuracy"]
    shares = document["settings"]["samples"] > 0
    swaps = Table(
        "block",
        "alone put back:\npoints [95% together]",
        *(["preserved\n[95%]"] if shares else []),
        "all up to it put back, new heads:\npoints [95% together]",
        title=f"{held_out['samples']} held-out samples: AFTER right in {percent(accuracy['after']['mean'])}, BEFORE in "
        f"{percent(accuracy['before']['mean'])}, naming the largest class {percent(accuracy['majority'])}",
    )
    profile = Table(
        "block",
        "weights changed",
        "CKA [95%]",
        "relative gradient norm [95%]",
        "part of all (labels shuffled)",
        title="Weights, outputs (CKA: 0 independent, 1 the same) and gradients",
    )
    for block in document["blocks"].values():
        title = escape(block["title"])
        alone = escape(difference(block["alone"]["difference"]))
        swaps.add_row(
            title,
            f"[bold]{alone}[/bold]" if block["needed"] else alone,
            *([escape(share_of(block["alone"]))] if shares else []),
            escape(difference(block["up_to"]["difference"])),
        )
        measures = (alike(block["similarity"]), gradient(block["gradient"]), part(block["gradient"]))
        profile.add_row(title, percent(block["relative_change"]), *map(escape, measures))
    head = document["head"]
    profile.add_row(f"head: {escape(head['name'])}", "", "", escape(gradient(head["gradient"])), "")
    advice = document["recommendation"]
    notes = [f"[dim]{escape(note)}[/dim]" for note in document["notes"]]
    text = [f"[bold]{escape(line)}[/bold]" for line in advice["text"][:-1]] + [escape(advice["text"][-1])]
    snippet = [escape(line) for line in advice["snippet"] or ()]
    return [swaps, profile, *notes, *text, *snippet]


def page(document: Document) -> str:
    """One HTML page that needs no other file and no network.

    Parameters
    ----------
    document
        The content of layers.json.
    """
    document = all_printable(document)
    drawn = {
        name: style.to_svg(draw(document), name, title, (draw.__doc__ or "").partition("\n")[0])
        for name, title, draw in (
            ("swaps", "Blocks put back", swaps_figure),
            ("profile", "Outputs and gradients by block", profile_figure),
        )
    }
    return (
        environment()
        .get_template("layers.html.j2")
        .render(
            d=document,
            drawn=drawn,
            difference=difference,
            alike=alike,
            gradient=gradient,
            part=part,
            number=number,
            why_not=why_not,
            colours=style.COLOURS,
            dark=style.DARK,
            shades=style.SHADES,
        )
    )
