"""A suite's results: one document, and its page with figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError, IncompleteRun
from bequeath.files import write_whole
from bequeath.knowledge.verdicts import VERDICTS
from bequeath.printable import all_printable
from bequeath.report import style
from bequeath.study.findings.plain import plain
from bequeath.suite import figures
from bequeath.suite.causal import correlations, disturbances
from bequeath.suite.page import CLAIMS, render
from bequeath.suite.papers import as_the_papers
from bequeath.suite.pool import pool
from bequeath.suite.rows import Row

SCHEMA = "bequeath.results/3"

Json = dict[str, Any]


def results(rows: Sequence[Row]) -> Json:
    """Collect the results of a suite.

    Returns
    -------
    dict
        ``rows``: for each study ``key``, ``name``, ``error``, ``pooled`` (from `pool`; null if no seed is finished),
        ``papers`` (from `as_the_papers`) and ``causal`` (from `disturbances`). ``verdicts``: for each claim, the number
        of rows with each verdict. ``correlations``: over the disturbed runs of all rows.
    """
    entries: list[Json] = []
    for row in rows:
        pooled, causal, papers, error = None, None, None, row.error
        if row.seeds:
            try:
                pooled = pool(row.seeds)
                causal = disturbances(row, pooled)
                papers = as_the_papers(None if row.papers is None else row.papers.findings, pooled)
            except BequeathError as refused:  # such as samples that failed in one seed and not in another
                pooled, error = None, str(refused)
        entries.append(
            {
                "key": row.key,
                "name": row.name,
                "error": error,
                "pooled": pooled,
                "papers": papers,
                "causal": causal,
            }
        )
    judged = [row["pooled"]["claims"] for row in entries if row["pooled"]]
    runs = [row["causal"]["runs"] for row in entries if row["causal"]]
    return {
        "schema": SCHEMA,
        "rows": entries,
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
    """Write ``results.json`` into the suite's folder, and the page with its figures.

    Parameters
    ----------
    document : dict
        From `results`.
    out : Path
        The suite's folder.
    page : Path
        Markdown file; figures are ``NAME-shares.svg`` and so on in its folder.
    command : str
        The command that makes the page, which is shown on it.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    IncompleteRun
        If no row has a finished seed.
    """
    write_whole(out / "results.json", json.dumps(plain(document), indent=1, allow_nan=False) + "\n")
    if not figures.finished(document):
        raise IncompleteRun(f"{out}: no row has a finished seed; see results.json for what failed")
    page.parent.mkdir(parents=True, exist_ok=True)
    shown, pictures = all_printable(document), {}
    for name, (draw, rows_of, title) in figures.ALL.items():
        if rows_of(shown):
            pictures[name] = page.with_name(f"{page.stem}-{name}.svg")
            write_whole(pictures[name], f"{style.to_svg(draw(shown), name, title, title, inline=False)}\n")
    write_whole(page, render(document, {name: path.name for name, path in pictures.items()}, command))
    return [out / "results.json", page, *pictures.values()]
