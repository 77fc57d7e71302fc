"""The command `bequeath view`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from bequeath.cli.commands import app
from bequeath.cli.net import Command, of_file
from bequeath.errors import BequeathError
from bequeath.printable import printable

# The pages of folders, by the command that writes them.
_PAGES = {"run": "report.html", "rank": "rank.html", "layers": "layers.html"}


@app.command(cls=Command, epilog="Example: bequeath view runs/birds --sample val/012.jpg")
def view(
    run: Annotated[Path, typer.Argument(help="A run's folder, or one of bequeath rank or bequeath layers.")],
    sample: Annotated[str | None, typer.Option(help="Open the page at this sample of the run.")] = None,
) -> None:
    """Open the page of a finished run in the browser, and print its address."""
    page = next((run / name for name in _PAGES.values() if (run / name).is_file()), None)
    if page is None or sample is not None:
        page = _report(run, sample)
    address = page.resolve().as_uri()
    if sample is not None:
        from urllib.parse import urlencode

        address += f"#samples&{urlencode({'sample': sample})}"
    opened = webbrowser.open(address)
    typer.echo(
        printable(address)
        if opened
        else f"No browser could be opened here; open this page: {printable(address)}"
    )


def _report(run: Path, sample: str | None) -> Path:
    """The page of a run, which is written if it does not exist."""
    from bequeath.study.run import Run

    with of_file(run / "findings.json"):
        findings = Run(run).findings
        ids = [entry["id"] for entry in findings["samples"]]
        if sample is not None and sample not in ids:
            near = [name for name in ids if sample in name][:5] or ids[:5]
            raise BequeathError(f"--sample {sample}: not in this run; there are {', '.join(near)}, ...")
        page = run / _PAGES["run"]
        return page if page.is_file() else Run(run).report()
