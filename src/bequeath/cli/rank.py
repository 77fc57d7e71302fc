"""The command `bequeath rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bequeath.cli import options
from bequeath.cli.commands import app
from bequeath.cli.net import Command


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
    data: options.LabelledData,
    out: options.Out = Path("runs/rank"),
    text: options.TextColumns = None,
    label: options.LabelColumn = None,
    size: options.Size = None,
    samples: Annotated[
        int | None,
        typer.Option(min=6, help="Number of samples, equally over the classes; by default at most 1000."),
    ] = None,
    folds: Annotated[int, typer.Option(min=3, max=20, help="Folds of the cross-validation.")] = 5,
    seed: options.Seed = 0,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="A measure of your own, module:function; can be repeated (docs/rank.md)."),
    ] = None,
    device: options.Device = None,
) -> None:
    """Rank pre-trained models for fine-tuning, by how well their frozen features predict your labels."""
    from bequeath.rank.candidates import candidates as read_candidates
    from bequeath.rank.samples import DataChoice, Samples

    chosen = read_candidates(candidates)
    labelled = Samples(DataChoice(data, text, label, size, samples, folds, seed))
    from bequeath.rank.run import rank as rank_candidates
    from bequeath.report.ranking import terminal
    from bequeath.study.results import result_files

    document = rank_candidates(chosen, labelled, out, device=device, measures=measure or (), progress=True)
    options.show(terminal(document), out, result_files("rank"))
