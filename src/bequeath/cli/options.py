"""Options and output that several commands share, so that they are the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from bequeath.printable import printable

_FOLDERS = "a folder with one folder of pictures per class (or with folders train and val of such folders), a CSV, TSV"

HeldOutData = Annotated[
    str,
    typer.Option(
        help=f"Held-out data: {_FOLDERS} or JSONL file of texts or numbers, or a published set: cifar10:FOLDER."
    ),
]
LabelledData = Annotated[
    str,
    typer.Option(
        help=f"Training data: {_FOLDERS} or JSONL file of texts, or a published set: cifar10:FOLDER."
    ),
]
Architecture = Annotated[
    str | None, typer.Option(help="Architecture of state files: torchvision:resnet18, module:function.")
]
TextColumns = Annotated[
    str | None, typer.Option(help="Column of the text, or several: a,b; or their numbers, counted from 0.")
]
LabelColumn = Annotated[str | None, typer.Option(help="Column of the label, or its number.")]
Size = Annotated[
    int | None,
    typer.Option(min=8, max=8192, help="Size of pictures in pixels; by default the model's own."),
]
Players = Annotated[
    str | None,
    typer.Option(help="Cells such as 6x6, or a number: of superpixels, or of runs of words."),
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Seed of all random choices, such as samples and masks.")
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; by default cuda if there is a GPU.")]
Out = Annotated[Path, typer.Option(help="Folder of the results; a second start continues there.")]


def show(parts: Iterable[object], out: Path, files: Mapping[str, str]) -> None:
    """Print the parts of a result, and where its files are.

    Parameters
    ----------
    parts : iterable
        What rich prints.
    out : Path
        Folder of the files.
    files : mapping of str to str
        File by title.
    """
    from rich.console import Console

    for part in parts:
        Console().print(part, highlight=False)
    for title, name in files.items():
        typer.echo(f"{title + ':':<9}{printable(str(out / name))}")
