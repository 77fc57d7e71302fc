"""A suite's page of results in Markdown, made from its results alone."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bequeath.report import text
from bequeath.report.models import ROLES, compared, region
from bequeath.suite import figures

VERDICTS = ("supported", "contradicted", "undecided")
CLAIMS = ("F1", "F2", "F3")

Json = dict[str, Any]


def render(document: Json, pictures: dict[str, str], command: str) -> str:
    """The Markdown page; `pictures` are files by name, relative to it."""
    environment = Environment(
        loader=PackageLoader("bequeath.suite", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(percent=_percent, share=_share, points=_points, plain=_plain, steps=_steps)
    environment.filters.update(place=_without_folders, share_of=text.percent, small=text.small)
    return environment.get_template("results.md.j2").render(
        d=document,
        rows=figures.finished(document),
        failed=[row for row in document["rows"] if row["error"]],
        pictures=pictures,
        command=command,
        roles=list(ROLES),
        compared=compared,
        region=region,
        claims=CLAIMS,
        verdicts=VERDICTS,
    )


def _estimate(estimate: Json | None, scale: float, digits: int, sign: str, unit: str = "") -> str:
    if estimate is None or estimate["mean"] is None:
        return text.NONE

    def shown(x: float) -> str:
        return text.fixed(scale * x, digits, sign)

    mean = f"{shown(estimate['mean'])}{unit}"
    if estimate["low"] is None or estimate["high"] is None:
        return mean
    return f"{mean} [{shown(estimate['low'])}, {shown(estimate['high'])}]"


def _percent(estimate: Json | None) -> str:
    """An estimate in percent."""
    return _estimate(estimate, 100, 0, "", "%")


def _share(share: Json | None) -> str:
    """A share of strength, and its chance level."""
    if share is None or share["observed"] is None:
        return text.NONE
    floor = text.NONE if share["floor"] is None else f"{text.fixed(100 * share['floor'], 0)}%"
    return f"{_percent({'mean': share['observed'], **share})}, by chance {floor}"


def _points(estimate: Json | None) -> str:
    """An estimate of a difference of shares, in points."""
    return _estimate(estimate, 100, 0, "+")


def _plain(estimate: Json | None, digits: int = 2, sign: bool = False) -> str:
    return _estimate(estimate, 1, digits, "+" if sign else "")


def _steps(estimate: Json | None) -> str:
    return _estimate(estimate, 1, 1, "")


def _without_folders(source: str) -> str:
    """A model's source with the last part alone of a path in it: folders are those of one machine."""
    return re.sub(r"(?<=:)\S*/", "", source)
