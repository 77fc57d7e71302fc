"""`bequeath compare`: two models without a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bequeath.cli.commands import app, finish
from bequeath.cli.net import Command
from bequeath.printable import printable


@app.command(
    cls=Command,
    epilog="Example: bequeath compare torchvision:resnet18 finetuned.pt --arch torchvision:resnet18 --data photos. "
    "A model is a state file (with --arch, or as ARCHITECTURE=FILE), a folder of save_pretrained or of bequeath train, "
    "a PEFT adapter (AFTER), torchvision:NAME, timm:NAME, a transformers hub name, or module:function of your own.",
)
def compare(
    before: Annotated[str, typer.Argument(help="The model before, such as a pre-trained one.")],
    after: Annotated[str, typer.Argument(help="The model after, such as a fine-tuned one.")],
    data: Annotated[
        str,
        typer.Option(
            help="Held-out data: a folder with one folder of pictures a class (or with train and val of such), a CSV, "
            "TSV or JSONL file of texts or numbers, or a published set: cifar10:FOLDER."
        ),
    ],
    arch: Annotated[
        str | None, typer.Option(help="Architecture of state files: torchvision:resnet18, module:function.")
    ] = None,
    control: Annotated[str | None, typer.Option(help="A model from scratch: what does it find, too?")] = None,
    twin: Annotated[
        list[str] | None, typer.Option(help="Another seed of the model after; can be given again.")
    ] = None,
    train: Annotated[str | None, typer.Option(help="Training data, for a probe where heads differ.")] = None,
    text: Annotated[str | None, typer.Option(help="Column(s) of the text, a,b; or numbers from 0.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label, or its number.")] = None,
    players: Annotated[
        str | None, typer.Option(help="6x6 cells; a number of superpixels, or of runs of words.")
    ] = None,
    masks: Annotated[str | None, typer.Option(help="Masks of each sample, or auto; 256 by default.")] = None,
    samples: Annotated[int | None, typer.Option(min=2, help="Samples taken apart; 24 by default.")] = None,
    size: Annotated[
        int | None, typer.Option(min=8, help="Pixels; as the model before has it by default.")
    ] = None,
    focus: Annotated[
        Literal["forgotten"] | None,
        typer.Option(help="forgotten: take apart mostly samples that one has right and the other wrong."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the samples, masks and probe.")] = 0,
    out: Annotated[Path, typer.Option(help="The run's folder; a second start goes on there.")] = Path(
        "runs/compare"
    ),
) -> None:
    """Compare two models on your data, without a study file: minutes, a table and a page."""
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
    )
    config, chosen = direct_study(wanted)
    for line in chosen:
        typer.echo(printable(line), err=True)
    finish(Study(config), out)
    typer.echo(f"The same again: bequeath run {printable(str(out / 'study.yaml'))} --out FOLDER")
