"""One self-contained HTML page from the findings alone."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bequeath.errors import BequeathError
from bequeath.report import curves, examples, figures, style, text

SCHEMA = "bequeath.findings/1"


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
    svg = style.to_svg
    drawn = {
        "overview": svg(
            figures.overview(findings),
            "overview",
            "Preserved, discarded and new strength",
            "One bar of three parts. The pre-trained model has discarded and preserved, the fine-tuned "
            "one has preserved and new.",
        ),
        "cancellation": svg(
            figures.cancellation_by_order(findings),
            "cancellation",
            "Cancellation by order",
            "For each order, the absolute sum of effects over the sum of absolute effects, for the three "
            "models and for what was discarded.",
        ),
    }
    for model, rest in figures.REST.items():
        for kind, words in style.KINDS.items():
            if kind != "all" and not figures.any_strength(findings, kind):
                continue
            size = figures.LARGE if kind == "all" else figures.SMALL
            drawn[f"strength_{model}_{kind}"] = svg(
                figures.strength_by_order(findings, model, kind, size),
                f"strength-{model}-{kind}",
                f"Strength of the {text.label(model)} model by order, {words}",
                f"Stacked bars for each order: preserved below, {rest} above. The numbers follow.",
            )
    for share in ("preserved", "relearned"):
        drawn[f"share_{share}"] = svg(
            figures.share_by_order(findings, share),
            f"share-{share}",
            f"{share.capitalize()} share by order",
            "One point with its interval for each order, for all interactions and for AND and OR alone.",
        )
    return drawn


def _region_figures(findings: dict[str, Any]) -> dict[str, Markup]:
    strength = style.to_svg(
        figures.region_strength(findings),
        "regions-strength",
        "Strength of the seven regions",
        "Seven horizontal bars: strength by which models share it.",
    )
    effects = style.to_svg(
        figures.region_effects(findings),
        "regions-effects",
        "Signed effects of the seven regions",
        "For each region, one point for each model that has it: the mean sum of its effects on the output.",
    )
    return {"region_strength": strength, "region_effects": effects}


def _dynamics_figures(findings: dict[str, Any]) -> dict[str, Markup]:
    drawn = {
        "similarity": style.to_svg(
            curves.similarity_over_steps(findings),
            "similarity",
            "Similarity to the run's own final state over training",
            "Lines over training steps, one a run, with interval bands.",
        ),
        "accuracy": style.to_svg(
            curves.accuracy_over_steps(findings),
            "accuracy",
            "Accuracy over training",
            "Lines over training steps, one a run, with interval bands, on the same axis as similarity.",
        ),
    }
    followed = [run for run in curves.RUNS if findings["dynamics"][run]]
    for run in followed:
        drawn[f"orders_{run}"] = style.to_svg(
            curves.strength_over_steps(findings, run),
            f"orders-{run}",
            f"Strength of the {text.label(run)} run's orders over training",
            "Lines over training steps, one a group of orders, with interval bands. The numbers follow.",
        )
    # Findings from before there was a mean order have none.
    if all("mean_order" in point for run in followed for point in findings["dynamics"][run]):
        drawn["mean_order"] = style.to_svg(
            curves.mean_order_over_steps(findings),
            "mean-order",
            "Mean order over training",
            "Lines over training steps, one a run, with interval bands, on the same axis as similarity.",
        )
    for order in range(1, findings["study"]["n_players"] + 1):
        drawn[f"similarity_{order}"] = style.to_svg(
            curves.similarity_over_steps(findings, order),
            f"similarity-{order}",
            f"Similarity over training, order {order}",
            "Lines over training steps, one a run, with interval bands.",
        )
    return drawn


def _sparsity_figure(findings: dict[str, Any]) -> dict[str, Markup]:
    drawn = style.to_svg(
        curves.sparsity_curve(findings),
        "sparsity",
        "Share of strength in the strongest interactions",
        "Rising lines, one a model, over the number of interactions counted.",
    )
    return {"sparsity": drawn}


def render(findings: dict[str, Any]) -> str:
    """Make the report.

    Parameters
    ----------
    findings
        A findings document of version 1 (see `docs/findings.md`), as read from `findings.json`.

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
        raise BequeathError(f"findings: schema is {findings.get('schema')!r}; this report reads {SCHEMA!r}")
    dynamics = findings["dynamics"]
    # Curves need at least one run that was followed.
    moving = bool(dynamics) and any(dynamics[run] for run in curves.RUNS)
    drawn: dict[str, Markup] = {}
    if findings["knowledge"]:
        drawn |= _knowledge_figures(findings)
    if findings["regions"]:
        drawn |= _region_figures(findings)
    if moving:
        drawn |= _dynamics_figures(findings)
    if findings["faithfulness"]:
        drawn |= _sparsity_figure(findings)
    samples = {sample["id"]: sample for sample in findings["samples"] or []}
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            f=findings,
            drawn=drawn,
            moving=moving,
            examples=[
                examples.prepare(e, place, samples) for place, e in enumerate(findings["examples"] or [])
            ],
            width=examples.WIDTH,
            models=style.MODELS,
            regions=figures.ordered_regions(findings) if findings["regions"] else [],
            colours=style.COLOURS,
            dark=style.DARK,
            shades=style.SHADES,
        )
    )
