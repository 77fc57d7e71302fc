"""A suite's results: one document, one Markdown page and its pictures made from it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bequeath.errors import BequeathError, IncompleteRun
from bequeath.files import write_whole
from bequeath.report import style, text
from bequeath.suite import figures
from bequeath.suite.causal import correlations, disturbances
from bequeath.suite.pool import pool
from bequeath.suite.rows import Row

SCHEMA = "bequeath.results/2"
VERDICTS = ("supported", "contradicted", "undecided")
CLAIMS = ("F1", "F2", "F3")

Json = dict[str, Any]


def results(rows: Sequence[Row]) -> Json:
    """What came out of a suite.

    Returns
    -------
    dict
        ``rows``: for each study its ``key``, ``name``, ``error``, what `pool` makes of its seeds (``pooled``; null
        where none was finished), and ``causal``; ``verdicts``: for each claim how many rows say what;
        ``correlations``: of the disturbed runs of all rows together.
    """
    found: list[Json] = []
    for row in rows:
        pooled, causal, error = None, None, row.error
        if row.seeds:
            try:
                pooled = pool(row.seeds)
                causal = disturbances(row, pooled)
            except BequeathError as refused:  # samples that failed in one seed and not in another
                pooled, error = None, str(refused)
        found.append({"key": row.key, "name": row.name, "error": error, "pooled": pooled, "causal": causal})
    judged = [row["pooled"]["claims"] for row in found if row["pooled"]]
    runs = [row["causal"]["runs"] for row in found if row["causal"]]
    return {
        "schema": SCHEMA,
        "rows": found,
        "verdicts": {
            claim: {
                verdict: sum(c[claim]["verdict"] == verdict for c in judged if claim in c)
                for verdict in VERDICTS
            }
            for claim in CLAIMS
        },
        "correlations": correlations(runs) if runs else None,
    }


def write_results(document: Json, out: Path, page: Path, command: str) -> list[Path]:
    """Write ``results.json`` into the suite's folder, and the page with its pictures beside it.

    Parameters
    ----------
    document : dict
        As `results` gives it.
    out : Path
        The suite's folder.
    page : Path
        Markdown file; pictures are ``NAME-shares.svg`` and so on in its folder.
    command : str
        What makes the page; it is told there.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    IncompleteRun
        If no row has a finished seed.
    """
    write_whole(out / "results.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    if not figures.finished(document):
        raise IncompleteRun(f"{out}: no row has a finished seed; results.json says what failed")
    page.parent.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, (draw, rows_of, title) in figures.ALL.items():
        if rows_of(document):
            pictures[name] = page.with_name(f"{page.stem}-{name}.svg")
            write_whole(pictures[name], f"{style.to_svg(draw(document), name, title, title, inline=False)}\n")
    write_whole(page, render(document, {name: path.name for name, path in pictures.items()}, command))
    return [out / "results.json", page, *pictures.values()]


def render(document: Json, pictures: dict[str, str], command: str) -> str:
    """The Markdown page; `pictures` are files by name, relative to it."""
    environment = Environment(
        loader=PackageLoader("bequeath.suite", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(text.FILTERS)
    environment.filters.update(
        share=_share, points=_points, plain=_plain, steps=_steps, place=_without_folders
    )
    return environment.get_template("results.md.j2").render(
        d=document,
        rows=figures.finished(document),
        failed=[row for row in document["rows"] if row["error"]],
        pictures=pictures,
        command=command,
        models=style.MODELS,
        regions=style.REGIONS,
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


def _share(estimate: Json | None) -> str:
    """An estimate of a share, in percent."""
    return _estimate(estimate, 100, 0, "", "%")


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
