"""A ranking of pre-trained models: its picture, its page, its tables in a terminal; all from rank.json alone."""

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
from bequeath.report.text import NONE, difference, number, percent

Document = dict[str, Any]
Measure = dict[str, Any]

SHARES = ("probe", "knn")
_MARKS = {"probe": ("o", "before"), "knn": ("D", "after")}


def scores_of(document: Document) -> list[str]:
    """The measures that are no accuracies, the user's own last."""
    return [key for key in document["measures"] if key not in SHARES]


def shown(measure: Measure, *, share: bool) -> str:
    """A value with its interval, or a dash."""
    if measure["value"] is None:
        return NONE
    say = percent if share else number
    ends = "" if measure["low"] is None else f" [{say(measure['low'])}, {say(measure['high'])}]"
    return say(measure["value"]) + ends


def behind(entry: dict[str, Any]) -> str:
    """By how many percentage points the first candidate is more accurate; empty for the first itself."""
    ahead = entry["behind_first"]
    return "" if ahead is None else difference(ahead)


def most_alike(document: Document, name: str) -> str:
    """The candidate with the most similar features, and how similar they are."""
    pairs = [
        (row["second"] if row["first"] == name else row["first"], row)
        for row in document["similarity"]
        if name in (row["first"], row["second"]) and row["value"] is not None
    ]
    if not pairs:
        return NONE
    other, row = max(pairs, key=lambda pair: float(pair[1]["value"]))
    return f"{other} {shown(row, share=False)}"


@styled
def accuracies(document: Document) -> Figure:
    """Accuracy of simple classifiers on each candidate's features, with 95% intervals.

    Parameters
    ----------
    document
        The content of rank.json.
    """
    figure, axes = row_canvas(560, len(document["order"]))
    draw_accuracies(axes, document)
    legend_below(figure, axes)
    return figure


def draw_accuracies(axes: Axes, document: Document) -> Axes:
    """Accuracies of simple classifiers on each candidate's features, with 95% intervals, and of the largest class.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    document
        The content of rank.json.

    Returns
    -------
    matplotlib.axes.Axes
        The same, one row a candidate, best first.
    """
    document = all_printable(document)
    order = document["order"]
    for place, (measure, (marker, colour)) in enumerate(_MARKS.items()):
        rows = [document["candidates"][name]["measures"][measure] for name in order]
        accuracy = [row | {"mean": row["value"]} for row in rows]
        estimates(axes, accuracy, 0.26 * place - 0.13, marker, colour, document["measures"][measure]["title"])
    majority = document["data"]["majority"]
    axes.axvline(majority, color=COLOURS["muted"], linewidth=1, linestyle="--", label="largest class")
    named_rows(axes, order)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel(f"right, of {document['data']['samples']} samples")
    return axes


def terminal(document: Document) -> list[Table | str]:
    """What a terminal shows, in this order: tables of rich, and sentences."""
    document = all_printable(document)
    data, about = document["data"], document["measures"]
    chance = f"naming the largest class: {percent(data['majority'])}"
    first = Table(
        "candidate",
        f"{about['probe']['title']}\n[95%]",
        "the first is ahead by,\npoints [95% together]",
        f"{about['knn']['title']}\n[95%]",
        "million\nparameters",
        "seconds: features,\nmeasures",
        title=f"{data['samples']} samples, {len(data['classes'])} classes, {data['folds']} folds; {chance}",
    )
    second = Table("candidate", title="Scores without training [95%], and in brackets by chance")
    scores = scores_of(document)
    for key in scores:
        second.add_column(about[key]["title"])
    second.add_column("most alike (CKA: 0 independent, 1 the same)")
    for name in document["order"]:
        entry = document["candidates"][name]
        measures = entry["measures"]
        probe, knn = (shown(measures[key], share=True) for key in SHARES)
        size = number(entry["parameters"] / 1e6)
        spent = sum(one["seconds"] for one in measures.values())
        times = f"{entry['features_seconds']:.1f}, {spent:.1f}"
        first.add_row(
            escape(name), f"[bold]{escape(probe)}[/bold]", escape(behind(entry)), escape(knn), size, times
        )
        values = [escape(with_chance(measures[key])) for key in scores]
        alike = escape(most_alike(document, name))
        second.add_row(escape(name), *values, alike)
    notes = [
        f"[dim]{escape(name)}: {escape(note)}.[/dim]"
        for name, entry in document["candidates"].items()
        for note in entry["notes"]
    ]
    advice = [f"[bold]{escape(line)}[/bold]" for line in document["recommendation"]["text"][:-1]]
    return [first, second, *notes, *advice, escape(document["recommendation"]["text"][-1])]


def with_chance(measure: Measure) -> str:
    """A score with its interval, and its chance level in brackets."""
    if measure["value"] is None:
        return NONE
    return f"{shown(measure, share=False)} ({number(measure['reference'])})"


def page(document: Document) -> str:
    """One HTML page that needs no other file and no network.

    Parameters
    ----------
    document
        The content of rank.json.
    """
    document = all_printable(document)
    about = (accuracies.__doc__ or "").partition("\n")[0]
    return (
        environment()
        .get_template("ranking.html.j2")
        .render(
            d=document,
            drawn=style.to_svg(accuracies(document), "accuracies", "Candidates by accuracy", about),
            shown=shown,
            behind=behind,
            with_chance=with_chance,
            most_alike=most_alike,
            shares=SHARES,
            scores=scores_of(document),
            colours=style.COLOURS,
            dark=style.DARK,
            shades=style.SHADES,
        )
    )
