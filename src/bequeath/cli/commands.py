"""The commands."""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from bequeath import __version__
from bequeath.cli import options
from bequeath.cli.net import INCOMPLETE, Command, check_text, log_to_stderr, of_file
from bequeath.errors import BequeathError
from bequeath.files import writable, write_whole
from bequeath.printable import printable

app = typer.Typer(
    help="What did pre-training give this model, and what did fine-tuning do to it? Compare two or more classifiers.",
    epilog="Start with: bequeath demo --quick",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bequeath {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class Engine(StrEnum):
    """Where a study is computed."""

    local = "local"
    ray = "ray"


class Level(StrEnum):
    """The least severity of messages that are shown."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


@app.command(cls=Command, epilog="Example: bequeath demo --quick --out runs/demo-quick")
def demo(
    out: options.Out = Path("runs/demo"),
    quick: Annotated[bool, typer.Option(help="A smaller demo, in under a minute.")] = False,
    seed: options.Seed = 0,
) -> None:
    """Fine-tune MobileNetV2 (ImageNet) on Fashion-MNIST, train it from scratch, and compare; takes a few minutes."""
    from bequeath.study.demo import FULL, QUICK, demo_study, train_demo
    from bequeath.study.progress import bars
    from bequeath.study.run import Study

    settings = QUICK if quick else FULL
    if quick and out == Path("runs/demo"):
        out = Path("runs/demo-quick")
    config = demo_study(out.resolve(), settings, seed)
    with bars(True) as shown:
        train_demo(out.resolve(), settings, config, shown)
    finish(Study(config), out)


@app.command(
    cls=Command,
    epilog="Example: bequeath run study.yaml --out runs/birds --engine ray --workers 8. Exit codes: 0 done, 1 failure, "
    "2 input that cannot be used, 3 something failed and is missing, 4 the folder is in use, 130 stopped.",
)
def run(
    study: Annotated[Path, typer.Argument(help="The study file (bequeath init writes a commented one).")],
    out: options.Out,
    engine: Annotated[
        Engine | None, typer.Option(help="Where the study is computed; by default the study file's engine.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes, or of Ray actors.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster, such as auto.")
    ] = None,
    update: Annotated[
        bool, typer.Option(help="If the study has changed: discard results that are no longer valid.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only time a few evaluations, and estimate what a run takes."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines instead of progress bars.")
    ] = False,
    log_level: Annotated[
        Level, typer.Option(help="Least severity of messages on stderr; run.log has all.")
    ] = Level.warning,
) -> None:
    """Run a study of two or more models of your own; it can be stopped and continued at any time."""
    check_text(study)
    from bequeath.study.config import load_study

    config = load_study(study)  # wrong settings give an error before the slow imports
    from bequeath.study.run import Study

    log_to_stderr(log_level.value)
    chosen = Study(config).on(engine and engine.value, workers, address)
    if dry_run:
        from bequeath.report.terminal import show_forecast

        forecast = chosen.forecast(out).to_dict()
        _print_json({"event": "forecast", **forecast}) if as_json else show_forecast(forecast)
        return
    finish(chosen, out, update=update, as_json=as_json)


_SMALL = typer.Option("--small", help="Use the smaller settings that the study file gives.")


@app.command(
    cls=Command,
    epilog="Example: bequeath train study.yaml --out trained; bequeath run trained/seed-0/study.yaml --out runs/0",
)
def train(
    study: Annotated[
        Path, typer.Argument(help="A study file with a training section (bequeath init shows it).")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the checkpoints; a second start continues there.")],
    small: Annotated[bool, _SMALL] = False,
    log_level: Annotated[Level, typer.Option(help="Least severity of messages on stderr.")] = Level.warning,
) -> None:
    """Train a study's models (fine-tuned, from scratch) for each seed, with the same data and budget."""
    check_text(study)
    from bequeath.study.config import load_study

    config = load_study(study, small=small)
    from bequeath.study.progress import bars
    from bequeath.study.train import train as train_all

    log_to_stderr(log_level.value)
    with bars(True) as shown:
        written = train_all(config, out, shown)
    for file in written:
        run_name = file.parent.name if file.stem == "study" else f"{file.parent.name}-{file.stem}"
        typer.echo(f"Trained. Next: bequeath run {file} --out runs/{run_name}")


@app.command(
    cls=Command,
    epilog="Example: bequeath suite examples/studies/*.yaml --small --out runs/small --page docs/results.md. "
    "Exit codes: 0 done, 2 input that cannot be used, 3 a row failed (the others are written), 4 a folder is in use, "
    "130 stopped.",
)
def suite(
    studies: Annotated[list[Path], typer.Argument(help="Study files, each with a training section.")],
    out: options.Out,
    page: Annotated[
        Path | None, typer.Option(help="Markdown page of the results; by default results.md in the folder.")
    ] = None,
    small: Annotated[bool, _SMALL] = False,
) -> None:
    """Train and run several studies with all seeds and disturbed starts, and write one page of results."""
    for file in studies:
        check_text(file)
    from bequeath.suite.results import results, write_results
    from bequeath.suite.rows import run_rows

    rows = run_rows(
        studies, out, small=small, progress=True, say=lambda line: typer.echo(printable(line), err=True)
    )
    target = page or out / "results.md"
    command = " ".join(
        [
            "bequeath suite",
            *map(str, studies),
            *(["--small"] if small else []),
            f"--out {out} --page {target}",
        ]
    )
    document = results(rows)
    for path in write_results(document, out, target, command):
        typer.echo(f"Wrote {path}")
    if any(row["error"] for row in document["rows"]):
        raise typer.Exit(INCOMPLETE)


@app.command(cls=Command, epilog="Example: bequeath init study.yaml")
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("study.yaml"),
) -> None:
    """Write a commented study file to fill in."""
    if path.exists() or path.is_symlink():
        raise BequeathError(f"{path}: exists already; give another name")
    if not path.parent.is_dir():
        raise BequeathError(f"{path}: no such folder: {path.parent}; make it, or give another name")
    with writable(path):
        write_whole(path, files("bequeath.study").joinpath("study.yaml").read_text(encoding="utf-8"))
    typer.echo(f"Wrote {path}. Fill it in, then: bequeath run {path} --out runs/mine")


@app.command(cls=Command, epilog="Example: bequeath report runs/birds --to birds.html")
def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    to: Annotated[
        Path | None, typer.Option(help="The page's file; by default report.html in the folder.")
    ] = None,
) -> None:
    """Write the report page of a finished run again."""
    from bequeath.study.run import Run

    with of_file(run / "findings.json"):
        typer.echo(f"Report: {printable(str(Run(run).report(to)))}")


@app.command(cls=Command, epilog="Example: bequeath show runs/birds --json")
def show(
    run: Annotated[Path, typer.Argument(help="A run's folder; the run may be unfinished.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print a summary of a run's findings, or its progress."""
    from bequeath.report.terminal import show_findings, show_progress
    from bequeath.study.run import Run

    status, findings = Run(run).status, Run(run).findings_if_any
    if as_json:
        # Runs that are unfinished, or being repeated, have no findings.
        parts = ("knowledge", "claims", "missing", "warnings")
        with of_file(run / "findings.json"):
            knowledge = findings and {key: findings[key] for key in parts}
        _print_json({**(status or {}), "findings": knowledge})
        return
    if status is not None and (findings is None or status["state"] not in ("finished", "incomplete")):
        with of_file(run / "status.json"):
            show_progress(status)
    if findings is not None:
        with of_file(run / "findings.json"):
            show_findings(findings)
    elif status is None:
        raise BequeathError(f"{run}: no findings.json; finish the run with bequeath run")


@app.command(cls=Command, epilog="Example: bequeath verify runs/birds")
def verify(run: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Check the checksums of a run's arrays, and that interactions add up to the tables on every mask."""
    from bequeath.study.store.verify import verify as check

    checked = check(run)
    typer.echo(
        f"{run}: {checked.tables} tables and {checked.interactions} sets of interactions are undamaged; largest "
        f"deviation of interactions from their table, relative to its largest value: {checked.deviation:.1g}; largest "
        f"gap: {checked.gap:.2g}"
        + (f"; {checked.failed} failed: start the run again" if checked.failed else "")
    )


def finish(study: Any, out: Path, update: bool = False, as_json: bool = False) -> None:
    """Run a study in a folder, and print its findings."""
    from bequeath.report.terminal import show_findings
    from bequeath.study.progress import json_lines

    listeners = [json_lines(lambda line: print(line, flush=True))] if as_json else []
    run = study.run(out, progress=not as_json, update=update, listeners=listeners)
    findings = run.findings
    if as_json:
        files = {name: str(out / name) for name in ("findings.json", "report.html")}
        _print_json({"event": "finished", **files, "missing": findings["missing"]})
    else:
        show_findings(findings)
        typer.echo(f"Findings: {out / 'findings.json'}")
        typer.echo(f"Report:   {out / 'report.html'}")
    if findings["missing"]:
        raise typer.Exit(INCOMPLETE)


def _print_json(content: dict[str, Any]) -> None:
    import json

    print(json.dumps(content), flush=True)
