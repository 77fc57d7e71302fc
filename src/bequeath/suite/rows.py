"""The rows of a suite: study files, each trained and run for all its seeds. A second start continues the work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bequeath.errors import BequeathError, FolderInUse
from bequeath.study.config import load_study
from bequeath.study.progress import bars
from bequeath.study.run import Run, Study
from bequeath.study.train import train
from bequeath.study.trained import disturbed_name
from bequeath.suite.papers import paper_form

logger = logging.getLogger(__name__)


@dataclass
class Row:
    """One study of a suite, and its runs.

    Attributes
    ----------
    key : str
        The study file's name without its suffix.
    name : str
        The study's name.
    seeds : list of Run
        A run per seed, in the order of the seeds.
    disturbed : dict of str to list of Run
        For each disturbance, a run per seed.
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
    """Train and run each study file in its own folder, ``out/NAME``, or continue there.

    If a row fails, its error is reported and the other rows are still run.

    Parameters
    ----------
    files : sequence of Path
        Study files with a `training` section.
    out : Path
        The suite's folder.
    small : bool
        Whether to use their small forms.
    progress : bool
        Whether to show progress bars.
    say : callable
        Called with a line of text when a row, a seed or a disturbed run starts, and when a row fails.

    Returns
    -------
    list of Row
        One per study file.

    Raises
    ------
    BequeathError
        If a study file cannot be used. All files are checked before any work starts.
    """
    studies = [load_study(file, small=small) for file in files]
    if len({file.stem for file in files}) < len(files):
        raise BequeathError("studies: two files have the same name; rename one of them")
    for file, config in zip(files, studies, strict=True):
        if config.training is None:
            raise BequeathError(f"{file}: training: missing; a suite trains its studies, so add this section")
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
                    disturbed_run = _run(
                        Study.from_yaml(trained / f"{name}.yaml"),
                        folder / f"seed-{seed}-{name}",
                        run,
                        progress,
                    )
                    row.disturbed.setdefault(disturbance, []).append(disturbed_run)
        except FolderInUse:
            raise
        except Exception as error:
            logger.exception("%s", config.name)
            row.error = str(error) or type(error).__name__
            say(f"  failed: {row.error}")
    return rows


def _run(study: Study, out: Path, like: Path | None, progress: bool) -> Run:
    return study.finished(out) or study.run(out, progress=progress, like=like)
