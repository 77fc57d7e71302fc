"""The command `bequeath compare`: two models without a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bequeath.cli import options
from bequeath.cli.commands import app, finish
from bequeath.cli.net import Command
from bequeath.printable import printable


@app.command(
    cls=Command,
    epilog="Example: bequeath compare torchvision:resnet18 finetuned.pt --arch torchvision:resnet18 --data photos. "
    "A model is a state file (with --arch, or as ARCHITECTURE=FILE), a folder of save_pretrained or of bequeath train, "
    "a PEFT adapter (AFTER), torchvision:NAME, timm:NAME, a transformers hub name, or your own module:function.",
)
def compare(
    before: Annotated[str, typer.Argument(help="The model before, such as a pre-trained one.")],
    after: Annotated[str, typer.Argument(help="The model after, such as a fine-tuned one.")],
    data: options.HeldOutData,
    arch: options.Architecture = None,
    control: Annotated[
        str | None,
        typer.Option(help="A model trained from scratch; shows how much of the preserved it has, too."),
    ] = None,
    twin: Annotated[
        list[str] | None, typer.Option(help="Another seed of the model after; can be given several times.")
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Training data, for a linear probe if heads differ.")
    ] = None,
    text: options.TextColumns = None,
    label: options.LabelColumn = None,
    players: options.Players = None,
    masks: Annotated[str | None, typer.Option(help="Masks per sample, or auto; by default 256.")] = None,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Number of samples whose interactions are read; by default 24.")
    ] = None,
    size: options.Size = None,
    focus: Annotated[
        Literal["forgotten"] | None,
        typer.Option(help="forgotten: read mostly samples that one model has right and the other wrong."),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    out: options.Out = Path("runs/compare"),
) -> None:
    """Compare two models on your data without a study file, in minutes: a table and a page."""
    from bequeath.study.direct import Wanted, direct_study
    from bequeath.study.run import Study

    wanted = Wanted(
        before=before,
        after=after,
        data=data,
        control=control,
        twins=tuple(twin or ()),
        train=train,
        text=text,
        label=label,
        architecture=arch,
        players=players,
        masks=masks,
        samples=samples,
        size=size,
        seed=seed,
        focus=focus,
        device=device,
    )
    config, chosen = direct_study(wanted)
    for line in chosen:
        typer.echo(printable(line), err=True)
    finish(Study(config), out)
    typer.echo(f"To repeat it: bequeath run {printable(str(out / 'study.yaml'))} --out FOLDER")
