"""One self-contained HTML page from the findings alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from bequeath.errors import BequeathError
from bequeath.printable import all_printable
from bequeath.report import curves, figures, models, samples, scales, style, tables, text
from bequeath.report.templates import environment

SCHEMA = "bequeath.findings/7"


def _figures(findings: dict[str, Any]) -> dict[str, Markup]:
    """Every figure by its id. Text alternatives are its title and the first line of its function's docstring."""
    drawn: dict[str, Markup] = {}

    def add(name: str, draw: Callable[..., Figure], *of: Any, alternative: str = "") -> None:
        figure, about = (
            draw(findings, *of),
            f"{alternative} {(draw.__doc__ or name).partition(chr(10))[0]}".strip(),
        )
        drawn[name] = style.to_svg(figure, name, figure.axes[0].get_title("left") or about, about)

    add("overview", figures.overview)
    add("cancellation", figures.cancellation_by_order)
    add("regions-strength", figures.region_strength)
    add("regions-effects", figures.region_effects)
    add("sparsity", curves.sparsity_curve)
    for role in figures.REST:
        for kind in style.KINDS:
            if kind == "all" or figures.any_strength(findings, kind):
                add(f"strength-{role}-{kind}", figures.strength_by_order, role, kind)
    for share in _drawn(findings):
        of = findings["knowledge"]["shares"][share]
        add(
            f"scale-{share}",
            scales.share_scale,
            share,
            alternative=f"{share}: {text.corrected(of)}, {text.levels(of)}.",
        )
    for share in findings["knowledge"]["shares_by_order"]:
        add(f"corrected-{share}", scales.corrected_by_order, share)
        add(f"levels-{share}", scales.levels_by_order, share)
    if findings["dynamics"]:
        add("similarity", curves.similarity_over_steps)
        add("similarity-levels", curves.levels_over_steps)
        add("accuracy", curves.accuracy_over_steps)
        add("mean-order", curves.mean_order_over_steps)
        # Names of models may hold any letters, so ids are numbers.
        for place, run in enumerate(findings["dynamics"]["runs"]):
            add(f"orders-{place}", curves.strength_over_steps, run)
            add(f"stopping-{place}", curves.stopping_over_steps, run)
        for order in range(1, findings["study"]["orders"] + 1):
            add(f"similarity-{order}", curves.similarity_over_steps, order)
    return drawn


def _drawn(findings: dict[str, Any]) -> list[str]:
    """Shares whose scale is drawn."""
    shares = findings["knowledge"]["shares"]
    return [name for name in scales.SCALES if name in shares and text.measured(shares[name])]


def _words(findings: dict[str, Any]) -> dict[str, Any]:
    """Texts of the page that are computed from several findings."""
    shown = models.models(findings).values()
    unmeasured = {
        name: scales.unmeasured(findings, name) for name in findings["knowledge"]["shares_by_order"]
    }
    return {
        "thing": {"text": "text", "table": "row"}.get(findings["study"]["modality"], "picture"),
        "twins": any(" twin" in (model.role or "") for model in shown),
        "probed": any("linear probe" in model["source"] for model in findings["models"].values()),
        "scales": _drawn(findings),
        "readings": tables.readings(findings),
        "notes": tables.notes(findings),
        "about": tables.about(findings),
        "unmeasured": unmeasured,
        "ledger_without_shares": [
            findings["roles"][role] for role, rows in findings["ledger"].items() if rows[0]["share"] is None
        ],
    }


def render(findings: dict[str, Any]) -> str:
    """Render the report page.

    Parameters
    ----------
    findings
        A findings document of this version (see `docs/findings.md`), as read from `findings.json`.

    Returns
    -------
    str
        One HTML page that needs no other file and no network. The same findings give the same page.

    Raises
    ------
    BequeathError
        If the document is of another version, or a picture in it is not a data URI.
    """
    if findings.get("schema") != SCHEMA:
        raise BequeathError(
            f"findings: schema is {findings.get('schema')!r}; this report reads {SCHEMA!r}; run the study again"
        )
    findings = all_printable(findings, keep="\n\t")
    all_models, called = models.models(findings), models.compared(findings)
    # Before the figures, which take seconds: a picture that cannot be shown is refused at once.
    explored = samples.explored(findings, called)
    parts = ("before", "preserved", "discarded", "after", "new", "control", "relearned")
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            f=findings,
            drawn=_figures(findings),
            models=list(all_models.values()),
            of=called,
            control=called.get("control"),
            parts=parts if "control" in called else parts[:-2],
            shares=list(findings["knowledge"]["shares"]),
            pairs={(pair["first"], pair["second_model"]): pair for pair in findings["knowledge"]["pairs"]},
            region=lambda members: models.region(members, called),
            regions=figures.ordered_regions(findings),
            explored=explored,
            readable={sample["id"] for sample in findings["samples"]},
            verdicts=samples.VERDICTS,
            colours=style.COLOURS,
            dark=style.DARK,
            shades=style.SHADES,
            **_words(findings),
        )
    )
