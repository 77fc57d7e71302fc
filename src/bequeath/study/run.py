"""A study and its run: from a study file to a folder with findings and a report."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bequeath import __version__
from bequeath.errors import BequeathError, IncompleteRun
from bequeath.files import write_whole
from bequeath.study.config import StudyConfig, load_study, with_engine
from bequeath.study.engines.tasks import is_whole
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.findings import SCHEMA
from bequeath.study.flipped import find_flipped
from bequeath.study.log import logged
from bequeath.study.prepared import Prepared
from bequeath.study.progress import Listener, bars
from bequeath.study.stages import Stages
from bequeath.study.status import State, Status, read_status
from bequeath.study.store.carry import STORE, mend_folder
from bequeath.study.store.folder import (
    FINDINGS,
    REPORT,
    claim,
    holds_study,
    only_one,
    read_object,
    read_study,
)
from bequeath.study.store.mend import mend_store
from bequeath.study.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bequeath.study.forecast import Forecast

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run's folder, made by `Study.run` or by ``bequeath run``.

    Parameters
    ----------
    folder : Path
        As given by ``--out``.

    Examples
    --------
    With a study file of two models on 10 rows of a table:

    >>> import bequeath as bq
    >>> run = bq.Study.from_yaml("study.yaml").run("runs/mine")
    >>> run
    Run('runs/mine': finished)
    >>> run.findings["knowledge"]["shares"]["preserved"]["n"]
    10
    >>> run.report("page.html").name
    'page.html'
    """

    folder: Path

    def __repr__(self) -> str:
        status = self.status
        return f"Run({str(self.folder)!r}: {'not begun' if status is None else status['state']})"

    def _repr_html_(self) -> str:
        from bequeath import notebook

        page = self.folder / REPORT
        return notebook.run_html(repr(self), self.findings_if_any, str(page))

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Plot the shares with their floor and ceilings, as `bequeath.plots.shares` does."""
        from bequeath import plots

        return plots.shares(self, ax=ax)

    @property
    def findings(self) -> dict[str, Any]:
        """The findings; docs/findings.md describes the format.

        Raises
        ------
        BequeathError
            If the folder holds no findings.
        """
        path = self.folder / FINDINGS
        if not path.is_file():
            raise BequeathError(f"{self.folder}: no findings.json; finish the run with bequeath run")
        findings = read_object(path)
        if findings.get("schema") != SCHEMA:
            raise BequeathError(f"{path}: not a {SCHEMA} file; run the study again with this version")
        return findings

    @property
    def findings_if_any(self) -> dict[str, Any] | None:
        """The findings, or None if there are none yet."""
        return self.findings if (self.folder / FINDINGS).is_file() else None

    @property
    def config(self) -> StudyConfig:
        """The study that was run."""
        return read_study(self.folder)

    def evidence(self) -> Evidence:
        """Read the run's arrays, and collect what is compared."""
        return Evidence.read(self.config, self.folder)

    @property
    def status(self) -> dict[str, Any] | None:
        """The run's progress, also while another process is running it; None if it was never started.

        ``state`` is "running", "finished", "incomplete", "stopped", "failed", or "interrupted" if the process is gone.
        `bequeath.study.status` describes the rest.
        """
        return read_status(self.folder)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report page, by default ``report.html`` in the run's folder, and return its path."""
        from bequeath.report import render

        target = self.folder / REPORT if path is None else Path(path)
        write_whole(target, render(self.findings))
        return target


@dataclass(frozen=True)
class Study:
    """A study, ready to run.

    Parameters
    ----------
    config : StudyConfig
        The checked content of a study file; `from_yaml` reads it.

    Examples
    --------
    With a study file of two models, ``old`` and ``new``:

    >>> import bequeath as bq
    >>> study = bq.Study.from_yaml("study.yaml")
    >>> study
    Study('old and new': old, new)
    >>> study.forecast("runs/another").tables  # a value table for each model and sample
    20
    """

    config: StudyConfig

    def __repr__(self) -> str:
        return f"Study({self.config.name!r}: {', '.join(self.config.models)})"

    @classmethod
    def from_yaml(cls, path: str | Path) -> Study:
        """Read and check a study file. An error names the file, the line and the key."""
        return cls(load_study(path))

    def on(self, engine: str | None, workers: int | None = None, address: str | None = None) -> Study:
        """The same study on another engine. Settings that are None stay as they are."""
        given = {"kind": engine, "workers": workers, "address": address}
        settings = self.config.engine.model_dump()
        if engine is not None and engine != settings["kind"]:
            settings = {}  # the settings of one engine do not fit another
        settings |= {key: value for key, value in given.items() if value is not None}
        return Study(with_engine(self.config, settings))

    def forecast(self, out: str | Path) -> Forecast:
        """Estimate time and disk space of `run` in the folder `out`, from a few evaluations. Nothing is written."""
        from bequeath.study.forecast import forecast

        return forecast(self.config, Path(out))

    def finished(self, out: str | Path) -> Run | None:
        """The run in the folder `out`, if it is a run of exactly this study, and complete; else None.

        The study's files are not read again, so changed weights are not noticed; `run` notices them.
        """
        run = Run(Path(out))
        status = run.status
        if status is None or status["state"] != "finished" or not holds_study(run.folder, self.config):
            return None
        return run if run.findings_if_any is not None else None

    def run(
        self,
        out: str | Path,
        *,
        progress: bool = False,
        update: bool = False,
        listeners: Sequence[Listener] = (),
        like: str | Path | None = None,
    ) -> Run:
        """Run the study in the folder `out`, or continue a run there.

        Parameters
        ----------
        out : path
            The run's folder. It gets the complete ``study.yaml``, ``tables.zarr``, ``findings.json``, ``report.html``,
            and the other files that docs/run-format.md describes.
        progress : bool
            Whether to show progress bars on the terminal.
        update : bool
            Whether to discard results that are no longer valid because the study has changed since the last start.
            Without it, such a change raises an error. Valid results are kept in both cases.
        listeners : sequence of callable
            Called with a stage (`bequeath.study.status.StageStatus`) at each step of its progress.
        like : path, optional
            Folder of another run. A new run takes over those of its arrays that are valid for this study, such as the
            tables of models that both have.

        Raises
        ------
        BequeathError
            If the input cannot be used; before the long work starts, if that can be known.
        FolderInUse
            If another process is using the folder.
        IncompleteRun
            If so much failed that nothing can be compared. If less failed, the findings say what is missing.
        """
        folder = Path(out)
        claim(folder)
        with only_one(folder), logged(folder), bars(progress) as shown:
            begun = time.monotonic()
            logger.info(
                "bequeath %s, process %d on %s: %r in %s",
                __version__,
                os.getpid(),
                platform.node(),
                self.config.name,
                folder.resolve(),
            )
            mend_folder(folder)
            status = Status(folder, [shown.listen, *listeners])
            state: State
            try:
                run = Run(folder)
                prepared = Prepared(self.config, partial(find_flipped, folder=folder, status=status))
                mend_store(folder / STORE, prepared.axes(), prepared.identity)
                findings = _valid_findings(run, prepared)
                if findings is None:
                    stages = Stages(prepared, folder, status, None if like is None else Path(like))
                    findings = stages.run(update)
                    write_whole(folder / FINDINGS, json.dumps(findings, indent=1, allow_nan=False) + "\n")
                    run.report()
            except BaseException as error:
                state = "failed"
                if isinstance(error, KeyboardInterrupt):
                    state = "stopped"
                elif isinstance(error, IncompleteRun):
                    state = "incomplete"
                with suppress(OSError):  # a full disk has no room for the status either
                    status.ended(state, str(error) or type(error).__name__)
                raise
            state = "incomplete" if findings["missing"] else "finished"
            status.ended(state)
            for warning in findings["warnings"]:
                logger.info("warning: %s", warning)
            logger.info("%s after %.1f s", state, time.monotonic() - begun)
            return run


def _valid_findings(run: Run, prepared: Prepared) -> dict[str, Any] | None:
    """The folder's findings, if they are of exactly this study and no arrays are missing; else None."""
    complete = all((run.folder / name).exists() for name in (FINDINGS, REPORT, STORE))
    if not complete or not holds_study(run.folder, prepared.config):
        return None
    try:
        findings = read_object(run.folder / FINDINGS)
    except BequeathError:  # damaged, so they are written anew
        return None
    provenance = findings.get("provenance")
    valid = (
        findings.get("schema") == SCHEMA
        and isinstance(provenance, dict)
        and provenance.get("key") == prepared.findings_key
        and not findings.get("missing", "unknown")
        and is_whole(Store.open(run.folder / STORE), prepared.config.bounds is not None)
    )
    return findings if valid else None
