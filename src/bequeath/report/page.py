"""One self-contained HTML page from the findings alone."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bequeath.errors import BequeathError
from bequeath.report import curves, examples, figures, models, style, text

SCHEMA = "bequeath.findings/2"


@cache
def _environment() -> Environment:
    # The name page.html.j2 does not switch escaping on by itself. A missing key is an error, not a blank.
    environment = Environment(
        loader=PackageLoader("bequeath.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(text.FILTERS)
    return environment


def _knowledge_figures(findings: dict[str, Any]) -> dict[str, Markup]:
    svg, called = style.to_svg, models.compared(findings)
    before, after = called["before"].name, called["after"].name
    drawn = {
        "overview": svg(
            figures.overview(findings),
            "overview",
            "Preserved, discarded and new strength",
            f"One bar of three parts. {before} has discarded and preserved, {after} has preserved and new.",
        ),
        "cancellation": svg(
            figures.cancellation_by_order(findings),
            "cancellation",
            "Cancellation by order",
            "For each order, the absolute sum of effects over the sum of absolute effects, for each model compared "
            "and for what was discarded.",
        ),
        "region_strength": svg(
            figures.region_strength(findings),
            "regions-strength",
            "Strength of the regions",
            "Horizontal bars: strength by which models share it.",
        ),
        "region_effects": svg(
            figures.region_effects(findings),
            "regions-effects",
            "Signed effects of the regions",
            "For each region, one point for each model that has it: the mean sum of its effects on the output.",
        ),
        "sparsity": svg(
            curves.sparsity_curve(findings),
            "sparsity",
            "Share of strength in the strongest interactions",
            "Rising lines, one a model, over the number of interactions counted.",
        ),
    }
    for role, rest in figures.REST.items():
        for kind, words in style.KINDS.items():
            if kind != "all" and not figures.any_strength(findings, kind):
                continue
            size = figures.LARGE if kind == "all" else figures.SMALL
            drawn[f"strength_{role}_{kind}"] = svg(
                figures.strength_by_order(findings, role, kind, size),
                f"strength-{role}-{kind}",
                f"Strength of {called[role].name} by order, {words}",
                f"Stacked bars for each order: preserved below, {rest} above. The numbers follow.",
            )
    for share in findings["knowledge"]["by_order"][0]["shares"]:
        drawn[f"share_{share}"] = svg(
            figures.share_by_order(findings, share),
            f"share-{share}",
            f"{share.capitalize()} share by order",
            "One point with its interval for each order, for all interactions and for AND and OR alone.",
        )
    return drawn


def _dynamics_figures(findings: dict[str, Any]) -> dict[str, Markup]:
    lines = "Lines over training steps, one a run, with interval bands."
    drawn = {
        name: style.to_svg(draw(findings), name, f"{title} over training", lines)
        for name, draw, title in (
            ("similarity", curves.similarity_over_steps, "Similarity to the run's own final state"),
            ("accuracy", curves.accuracy_over_steps, "Accuracy"),
            ("mean-order", curves.mean_order_over_steps, "Mean order"),
        )
    }
    # Names of users' models are no ids.
    for place, run in enumerate(findings["dynamics"]["runs"]):
        drawn[f"orders_{run}"] = style.to_svg(
            curves.strength_over_steps(findings, run),
            f"orders-{place}",
            f"Strength of the orders of {run} over training",
            "Lines over training steps, one a group of orders, with interval bands. The numbers follow.",
        )
    for order in range(1, findings["study"]["n_players"] + 1):
        drawn[f"similarity_{order}"] = style.to_svg(
            curves.similarity_over_steps(findings, order),
            f"similarity-{order}",
            f"Similarity over training, order {order}",
            lines,
        )
    return drawn


def _parts(called: dict[str, models.Model]) -> list[str]:
    """Columns of strength: each model, and what became of it."""
    parts = ["before", "preserved", "discarded", "after", "new"]
    return [*parts, "control", "relearned"] if "control" in called else parts


def render(findings: dict[str, Any]) -> str:
    """Make the report.

    Parameters
    ----------
    findings
        A findings document of version 2 (see `docs/findings.md`), as read from `findings.json`.

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
    every, called = models.models(findings), models.compared(findings)
    samples = {sample["id"]: sample for sample in findings["samples"]}
    drawn = _knowledge_figures(findings)
    if findings["dynamics"]:
        drawn |= _dynamics_figures(findings)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            f=findings,
            drawn=drawn,
            models=list(every.values()),
            of=called,
            control=called.get("control"),
            parts=_parts(called),
            shares=list(findings["knowledge"]["shares"]),
            pairs={(pair["first"], pair["second"]): pair for pair in findings["knowledge"]["pairs"]},
            region=lambda members: models.region(members, called),
            regions=figures.ordered_regions(findings),
            examples=[
                examples.prepare(one, place, samples, called)
                for place, one in enumerate(findings["examples"])
            ],
            width=examples.WIDTH,
            colours=style.COLOURS,
            dark=style.DARK,
            shades=style.SHADES,
        )
    )
