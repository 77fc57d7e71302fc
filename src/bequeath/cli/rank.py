"""The command `bequeath rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bequeath.cli.commands import app
from bequeath.cli.net import Command
from bequeath.printable import printable


@app.command(
    cls=Command,
    epilog="Example: bequeath rank torchvision:resnet18 timm:vit_small_patch16_224 bequeath:mobilenet_v2 --data "
    "data/train. Exit codes: 0 done, 1 failure, 2 input that cannot be used, 4 the folder is in use, 130 stopped.",
)
def rank(
    candidates: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: torchvision:NAME, timm:NAME, bequeath:mobilenet_v2, a transformers hub name, a folder "
            "of save_pretrained or of bequeath train, ARCHITECTURE=STATE_FILE, or module:function=STATE_FILE."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Training data: a folder with one folder of pictures a class (or with train and val of such), a CSV, "
            "TSV or JSONL file of texts, or a published set: cifar10:FOLDER."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The ranking's folder; a second start goes on there.")] = Path(
        "runs/rank"
    ),
    text: Annotated[str | None, typer.Option(help="Column(s) of the text, a,b; or numbers from 0.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label, or its number.")] = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, max=8192, help="Pixels that all models are given; each model's own if left out."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=6, help="Samples, equally over the classes; 1000 at most if left out.")
    ] = None,
    folds: Annotated[int, typer.Option(min=3, max=20, help="Parts of the cross-validation.")] = 5,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the choice of samples and folds.")
    ] = 0,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="A measure of your own, module:function; can be given again (docs/rank.md)."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; cuda where there is one if left out.")
    ] = None,
) -> None:
    """Which pre-trained model to fine-tune on your data: candidates ranked by what their frozen features say."""
    from bequeath.rank.candidates import candidates as named
    from bequeath.rank.samples import DataChoice, Samples

    chosen = named(candidates)
    read = Samples(DataChoice(data, text, label, size, samples, folds, seed))
    from rich.console import Console

    from bequeath.rank.run import PAGE, PICTURE, RANK
    from bequeath.rank.run import rank as rank_all
    from bequeath.report.ranking import terminal

    document = rank_all(chosen, read, out, device=device, measures=measure or (), progress=True)
    for part in terminal(document):
        Console().print(part, highlight=False)
    for title, name in (("Numbers", RANK), ("Picture", PICTURE), ("Page", PAGE)):
        typer.echo(f"{title + ':':<9}{printable(str(out / name))}")
