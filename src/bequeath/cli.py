"""The command line. Exit codes: 0 done, 1 unexpected failure, 2 input that cannot be used."""

from __future__ import annotations

import os

# Worker threads that spin while they wait starve each other on small or busy machines (measured: 10x and more).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from bequeath.errors import BequeathError

app = typer.Typer(
    help="What did pre-training give this model? Compare a pre-trained, a fine-tuned and a from-scratch classifier.",
    epilog="Start with: bequeath demo --quick",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.command(epilog="Example: bequeath demo --quick --out runs/demo-quick")
def demo(
    out: Annotated[Path, typer.Option(help="The run's folder; a second start goes on there.")] = Path(
        "runs/demo"
    ),
    quick: Annotated[bool, typer.Option(help="A smaller one, in under a minute.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of training and of the choice of samples.")] = 0,
) -> None:
    """Fine-tune and train from scratch, then compare: MobileNetV2 (ImageNet) on Fashion-MNIST, a few minutes."""
    from bequeath.study.demo import FULL, QUICK, demo_study, train_demo
    from bequeath.study.progress import bars
    from bequeath.study.run import Study

    settings = QUICK if quick else FULL
    if quick and out == Path("runs/demo"):
        out = Path("runs/demo-quick")
    config = demo_study(out.resolve(), settings, seed)
    with bars(True) as shown:
        train_demo(out.resolve(), settings, config, shown)
    _finish(Study(config), out)


@app.command(epilog="Example: bequeath run study.yaml --out runs/birds")
def run(
    study: Annotated[Path, typer.Argument(help="The study file (bequeath init writes a commented one).")],
    out: Annotated[Path, typer.Option(help="The run's folder; a second start goes on there.")],
) -> None:
    """Run a study of your own three models; can be stopped and started again at any time."""
    from bequeath.study.run import Study

    _finish(Study.from_yaml(study), out)


@app.command(epilog="Example: bequeath init study.yaml")
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("study.yaml"),
) -> None:
    """Write a commented study file to fill in."""
    if path.exists():
        raise BequeathError(f"{path}: exists already; give another name")
    path.write_text(
        files("bequeath.study").joinpath("study.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    typer.echo(f"Wrote {path}. Fill it in, then: bequeath run {path} --out runs/mine")


@app.command(epilog="Example: bequeath report runs/birds --to birds.html")
def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    to: Annotated[
        Path | None, typer.Option(help="The page's file; report.html in the folder by default.")
    ] = None,
) -> None:
    """Write the report page of a finished run again."""
    from bequeath.study.run import Run

    typer.echo(f"Report: {Run(run).report(to)}")


@app.command(epilog="Example: bequeath show runs/birds")
def show(run: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Print the findings of a finished run in short."""
    from bequeath.study.run import Run

    _summary(Run(run).findings)


def _finish(study: Any, out: Path) -> None:
    run = study.run(out, progress=True)
    _summary(run.findings)
    typer.echo(f"Findings: {out / 'findings.json'}")
    typer.echo(f"Report:   {out / 'report.html'}")


def _percent(estimate: dict[str, Any]) -> str:
    if estimate["mean"] is None:
        return "-"
    text = f"{100 * estimate['mean']:.1f}%"
    if estimate["low"] is not None:
        text += f"  [{100 * estimate['low']:.1f}%, {100 * estimate['high']:.1f}%]"
    return text


def _summary(findings: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shares = findings["knowledge"]["shares"]
    reference = findings["knowledge"]["reference"]["shares"]
    decomposition = findings["study"]["decomposition"].split(",")[0]
    table = Table(
        "",
        f"share by {decomposition}  [95% interval]",
        "by plain AND",
        title=escape(findings["study"]["name"]),
    )
    rows = {
        "preserved by fine-tuning": "preserved",
        "discarded by fine-tuning": "discarded",
        "new in the fine-tuned model": "new",
        "R: preserved, and found from scratch": "relearned",
    }
    for label, name in rows.items():
        table.add_row(label, escape(_percent(shares[name])), escape(_percent(reference[name])))
    table.add_section()
    for name, model in findings["models"].items():
        table.add_row(f"accuracy, {name}", escape(_percent(model["accuracy"])), "")
    console = Console()
    console.print(table)
    for name, claim in findings["claims"].items():
        console.print(f"[bold]{name} {claim['verdict']}.[/bold] {escape(claim['text'])}", highlight=False)


def main() -> None:
    """Entry point: a `BequeathError` is one line on stderr and exit code 2."""
    try:
        app()
    except BequeathError as error:
        typer.echo(f"bequeath: {error}", err=True)
        sys.exit(2)
