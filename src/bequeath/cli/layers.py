"""`bequeath layers`: which layers had to change, and what to freeze next time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bequeath.cli.commands import app
from bequeath.cli.net import Command
from bequeath.printable import printable


@app.command(
    cls=Command,
    epilog="Example: bequeath layers torchvision:resnet18 finetuned.pt --arch torchvision:resnet18 --data photos/val "
    "--train photos/train. Exit codes: 0 done, 1 failure, 2 input that cannot be used, 4 the folder is in use, 130 "
    "stopped.",
)
def layers(
    before: Annotated[
        str, typer.Argument(help="The model before fine-tuning; given as for bequeath compare.")
    ],
    after: Annotated[str, typer.Argument(help="The model after, of the same architecture.")],
    data: Annotated[
        str,
        typer.Option(
            help="Held-out data: a folder with one folder of pictures a class (or with train and val of such), a CSV, "
            "TSV or JSONL file of texts or numbers, or a published set: cifar10:FOLDER."
        ),
    ],
    train: Annotated[
        str | None, typer.Option(help="Training data; half of --data stands for them if there are none.")
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Architecture of state files: torchvision:resnet18, module:function.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column(s) of the text, a,b; or numbers from 0.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label, or its number.")] = None,
    size: Annotated[
        int | None, typer.Option(min=8, help="Pixels; as the model before has it by default.")
    ] = None,
    players: Annotated[
        str | None, typer.Option(help="6x6 cells; a number of superpixels, or of runs of words.")
    ] = None,
    masks: Annotated[
        int, typer.Option(min=0, max=2**20, help="Masks of each sample; 0: no interactions, quicker.")
    ] = 256,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Samples whose interactions are read; 12 by default.")
    ] = None,
    blocks: Annotated[
        int, typer.Option(min=2, max=1000, help="Blocks at most: smallest neighbours are joined.")
    ] = 16,
    margin: Annotated[
        float, typer.Option(min=0, max=100, help="Percentage points of accuracy that freezing may cost.")
    ] = 2.0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the samples, masks and probes.")] = 0,
    out: Annotated[Path, typer.Option(help="The results' folder; a second start goes on there.")] = Path(
        "runs/layers"
    ),
) -> None:
    """Which layers had to change between two models, and which to freeze next time."""
    from rich.console import Console

    from bequeath.layers.pair import Asked
    from bequeath.layers.run import LAYERS, PAGE, PICTURE
    from bequeath.layers.run import layers as measure
    from bequeath.report.layers import terminal
    from bequeath.study.direct import Wanted

    wanted = Wanted(
        before=before,
        after=after,
        data=data,
        train=train,
        text=text,
        label=label,
        architecture=arch,
        players=players,
        masks=str(masks) if masks else None,
        samples=samples,
        size=size,
        seed=seed,
    )
    asked = Asked(wanted, masks > 0, blocks, margin / 100)
    document = measure(asked, out, progress=True, say=lambda line: typer.echo(printable(line), err=True))
    for part in terminal(document):
        Console().print(part, highlight=False)
    for title, name in (("Numbers", LAYERS), ("Picture", PICTURE), ("Page", PAGE)):
        typer.echo(f"{title + ':':<9}{printable(str(out / name))}")
