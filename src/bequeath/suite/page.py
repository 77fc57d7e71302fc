"""A suite's page of results in Markdown, made from results.json alone."""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bequeath.knowledge.verdicts import VERDICTS
from bequeath.report import text
from bequeath.report.models import ROLES, compared, region
from bequeath.suite import figures
from bequeath.suite.markdown import address, all_escaped, code

CLAIMS = ("F1", "F2", "F3", "F4")

Json = dict[str, Any]


def render(document: Json, pictures: dict[str, str], command: str) -> str:
    """Render the Markdown page.

    Parameters
    ----------
    document : dict
        The content of results.json.
    pictures : dict of str to str
        File of each figure, relative to the page.
    command : str
        The command that makes the page, which is shown on it.
    """
    environment = Environment(
        loader=PackageLoader("bequeath.suite", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(percent=_percent, points=_points, plain=_plain, steps=_steps)
    environment.filters.update(levels=_levels, corrected=_corrected, ceiling=_ceiling)
    environment.filters.update(place=_without_folders, share_of=text.percent, small=text.small)
    document = all_escaped(document)
    return environment.get_template("results.md.j2").render(
        d=document,
        rows=figures.finished(document),
        failed=[row for row in document["rows"] if row["error"]],
        pictures={name: address(file) for name, file in pictures.items()},
        command=code(command),
        roles=list(ROLES),
        compared=compared,
        region=region,
        claims=CLAIMS,
        verdicts=VERDICTS,
        said=_verdicts_of_the_papers(document),
    )


def _verdicts_of_the_papers(document: Json) -> dict[str, Json]:
    """For each claim, the number of rows that the papers' reading and rule would support, and of all such rows."""
    by_claim: dict[str, Json] = {}
    for row in figures.finished(document):
        for claim, verdict in (row["papers"] or {"verdicts": {}})["verdicts"].items():
            counts = by_claim.setdefault(claim, {"supported": 0, "all": 0})
            counts["all"] += 1
            counts["supported"] += verdict == "supported"
    return by_claim


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


def _corrected(share: Json | None) -> str:
    """A corrected share: 0% is chance, 100% another reading."""
    if share is None:
        return text.NONE
    if share["reason"] or share["corrected"] is None:
        return "not measurable"
    return _percent({**share, "mean": share["corrected"]})


def _p(p: float | None) -> str:
    return text.NONE if p is None else "< 0.001" if p < 1e-3 else f"{p:.3f}"


def _ceiling(share: Json | None) -> str:
    return text.NONE if share is None else text.percent(share["ceiling"])


def _levels(share: Json) -> str:
    """Cells of a share: observed, floor, ceiling, corrected, p; then corrected and p among samples of one class."""
    keys = ("p", "p_within_classes", "corrected_within_classes")
    p, p_within, corrected_within = (None if share["reason"] else share[key] for key in keys)
    cells = [text.percent(share[key]) for key in ("observed", "floor", "ceiling")]
    corrected = _corrected(share)
    cells += [corrected if share["reason"] else f"**{corrected}**", _p(p)]
    cells += [text.percent(corrected_within), _p(p_within)]
    return " | ".join(cells)


def _points(estimate: Json | None) -> str:
    """An estimate of a difference of shares, in points."""
    return _estimate(estimate, 100, 0, "+")


def _plain(estimate: Json | None, digits: int = 2, sign: bool = False) -> str:
    return _estimate(estimate, 1, digits, "+" if sign else "")


def _steps(estimate: Json | None) -> str:
    return _estimate(estimate, 1, 1, "")


def _without_folders(source: str) -> str:
    """A model's source without the folders of its path, which differ between machines."""
    return re.sub(r"(?<=:)\S*/", "", source)
