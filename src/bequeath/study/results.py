"""Writes the results of a command that has a folder of its own: numbers, a picture and a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bequeath.files import writable, write_whole
from bequeath.report.style import to_svg


def result_files(command: str) -> dict[str, str]:
    """The files that `write_results` writes for a command, by title."""
    return {"Numbers": f"{command}.json", "Picture": f"{command}.svg", "Page": f"{command}.html"}


def write_results(
    out: Path, command: str, document: dict[str, Any], figure: Figure, title: str, page: str
) -> None:
    """Write the results of a command into a folder.

    Parameters
    ----------
    out : Path
    command : str
        Its name, which names the files.
    document : dict
        Its ``recommendation`` describes the picture, too.
    figure, title : Figure, str
        The picture, and its title.
    page : str
        The page's HTML.
    """
    files = result_files(command)
    description = " ".join(document["recommendation"]["text"])
    with writable(out):
        write_whole(out / files["Numbers"], json.dumps(document, indent=1, allow_nan=False) + "\n")
        write_whole(out / files["Picture"], to_svg(figure, command, title, description, inline=False) + "\n")
        write_whole(out / files["Page"], page)
