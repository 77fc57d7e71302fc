"""How results look in a notebook: small HTML tables that need no styles of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.share import Share
from bequeath.lattice.interactions import Interactions
from bequeath.printable import printable
from bequeath.report.text import corrected, likelihood, measured, number, percent, signed, why_not

# Terms of one sample that are shown.
_TERMS = 8
_COLUMNS = ("share", "corrected [95%]", "p", "observed", "by chance", "same model again", "n")


def interactions_html(interactions: Interactions) -> str:
    """The strongest interactions of one sample; of several, how strong those of each order are."""
    if interactions.offset.ndim:
        by_order = interactions.by_order().reshape(-1, interactions.n_players + 1).mean(0).tolist()
        total = sum(by_order)
        rows = [
            (str(order), number(strength), percent(strength / total))
            for order, strength in enumerate(by_order)
            if strength > 0
        ]
        return _table(repr(interactions), ("order", "mean strength per sample", "share of it"), rows)
    terms = [
        (term.type.upper(), printable(term.name), signed(term.value), number(term.error))
        for term in interactions.top(_TERMS)
    ]
    return _table(repr(interactions), ("type", "players", "effect", "standard error"), terms)


def share_html(share: Share) -> str:
    """One share with its levels."""
    return shares_html("Share", {"": share.to_dict()})


def comparison_html(comparison: Comparison) -> str:
    """Every share of the comparison with its levels."""
    return shares_html(
        repr(comparison), {name: comparison.share(name).to_dict() for name in comparison.measures}
    )


def shares_html(caption: str, shares: Mapping[str, Mapping[str, Any]]) -> str:
    """Shares, as they stand in the findings, with their levels; what is not measurable has its reason."""
    rows, notes = [], []
    for name, share in shares.items():
        of = dict(share)
        level = tuple(percent(of[key]) for key in ("observed", "floor", "ceiling"))
        rows.append((name, corrected(of), likelihood(of), *level, str(of["n"])))
        if not measured(of):
            notes.append(f"{name}: {why_not(of)}".removeprefix(": "))
    return _table(caption, _COLUMNS, rows) + "".join(
        f"<p>{escape(note)}</p>" for note in dict.fromkeys(notes)
    )


def run_html(caption: str, findings: Mapping[str, Any] | None, page: str) -> str:
    """A run: its shares, what its page says first, and where the page is."""
    if findings is None:
        return f"<p>{escape(caption)}: no findings yet</p>"
    summary = findings["summary"]
    said_first = [*summary["findings"], *summary["not_measurable"]]
    said = "".join(f"<li>{escape(printable(line))}</li>" for line in said_first)
    shares = shares_html(caption, findings["knowledge"]["shares"])
    return f"{shares}<ul>{said}</ul><p>The whole report: <code>{escape(printable(page))}</code></p>"


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th style='text-align:left'>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption style='text-align:left'>{escape(printable(caption))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
