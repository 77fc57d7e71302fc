"""The rows of a suite: each a study file, trained and run for each of its seeds, every start going on where it was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bequeath.errors import BequeathError, FolderInUse
from bequeath.study.config import load_study
from bequeath.study.progress import bars
from bequeath.study.run import Run, Study
from bequeath.study.train import disturbed_name, train
from bequeath.suite.papers import paper_form

logger = logging.getLogger(__name__)


@dataclass
class Row:
    """One study of a suite and what came out of it.

    Attributes
    ----------
    key : str
        The study file's name without its suffix.
    seeds : list of Run
        Each seed's run, in the order of the seeds.
    disturbed : dict of str to list of Run
        The same of the runs with disturbed starts, by disturbance.
    papers : Run or None
        The first seed's models, read as the interaction papers do.
    error : str or None
        Why the row is not complete.
    """

    key: str
    name: str
    seeds: list[Run] = field(default_factory=list)
    disturbed: dict[str, list[Run]] = field(default_factory=dict)
    papers: Run | None = None
    error: str | None = None


def run_rows(
    files: Sequence[Path], out: Path, *, small: bool, progress: bool, say: Callable[[str], object]
) -> list[Row]:
    """Train and run each study file in a folder of its own, ``out/NAME``, or go on with it.

    A row that fails is told and left, the others go on.

    Parameters
    ----------
    files : sequence of Path
        Study files with a `training` section.
    small : bool
        Take their small forms.
    progress : bool
        Show bars.
    say : callable
        Is told in a line what is begun.

    Raises
    ------
    BequeathError
        If a study file cannot be used: before any work, for all of them.
    """
    studies = [load_study(file, small=small) for file in files]
    if len({file.stem for file in files}) < len(files):
        raise BequeathError("studies: two files of the same name; each needs one of its own")
    for file, config in zip(files, studies, strict=True):
        if config.training is None:
            raise BequeathError(f"{file}: training: missing; the studies of a suite are trained")
    rows = []
    for number, (file, config) in enumerate(zip(files, studies, strict=True), 1):
        row, folder = Row(file.stem, config.name), out / file.stem
        say(f"[{number} of {len(files)}] {config.name}")
        rows.append(row)
        try:
            with bars(progress) as shown:
                train(config, folder / "trained", shown)
            assert config.training is not None
            for seed in config.training.seeds:
                trained, run = folder / f"trained/seed-{seed}", folder / f"seed-{seed}"
                say(f"  seed {seed}")
                row.seeds.append(_run(Study.from_yaml(trained / "study.yaml"), run, None, progress))
                papers = paper_form(load_study(trained / "study.yaml")) if len(row.seeds) == 1 else None
                if papers is not None:
                    say(f"  seed {seed}, read as the papers do")
                    row.papers = _run(Study(papers), folder / f"seed-{seed}-papers", None, progress)
                for disturbance in config.training.disturbed:
                    name = disturbed_name(disturbance)
                    say(f"  seed {seed}, {disturbance}")
                    found = _run(
                        Study.from_yaml(trained / f"{name}.yaml"),
                        folder / f"seed-{seed}-{name}",
                        run,
                        progress,
                    )
                    row.disturbed.setdefault(disturbance, []).append(found)
        except FolderInUse:
            raise
        except Exception as error:
            logger.exception("%s", config.name)
            row.error = str(error) or type(error).__name__
            say(f"  failed: {row.error}")
    return rows


def _run(study: Study, out: Path, like: Path | None, progress: bool) -> Run:
    return study.finished(out) or study.run(out, progress=progress, like=like)
