"""The command `bequeath layers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bequeath.cli import options
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
    data: options.HeldOutData,
    train: Annotated[
        str | None, typer.Option(help="Training data; by default half of --data serve as training data.")
    ] = None,
    arch: options.Architecture = None,
    text: options.TextColumns = None,
    label: options.LabelColumn = None,
    size: options.Size = None,
    players: options.Players = None,
    masks: Annotated[
        int,
        typer.Option(min=0, max=2**20, help="Masks per sample; 0 reads no interactions, which is faster."),
    ] = 256,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Number of samples whose interactions are read; by default 12.")
    ] = None,
    blocks: Annotated[
        int,
        typer.Option(
            min=2, max=1000, help="The largest number of blocks; if there are more, the smallest are joined."
        ),
    ] = 16,
    margin: Annotated[
        float, typer.Option(min=0, max=100, help="Percentage points of accuracy that freezing may cost.")
    ] = 2.0,
    seed: options.Seed = 0,
    device: options.Device = None,
    out: options.Out = Path("runs/layers"),
) -> None:
    """Show which layers had to change between two models, and which to freeze next time."""
    from bequeath.layers.pair import Asked
    from bequeath.layers.run import layers as measure
    from bequeath.report.layers import terminal
    from bequeath.study.direct import Wanted
    from bequeath.study.results import result_files

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
        device=device,
    )
    asked = Asked(wanted, masks > 0, blocks, margin / 100)
    document = measure(asked, out, progress=True, say=lambda line: typer.echo(printable(line), err=True))
    options.show(terminal(document), out, result_files("layers"))
