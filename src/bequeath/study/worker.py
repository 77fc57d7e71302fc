"""What does a study's tasks: it holds the data and one model at a time, and writes what it finds into the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bequeath.games.runner import Runner
from bequeath.lattice.exact.decompose import decompose
from bequeath.study.config import StudyConfig
from bequeath.study.loading import Materials
from bequeath.study.plan import Plan
from bequeath.study.store.layout import FIELDS
from bequeath.study.store.store import DONE, Store
from bequeath.study.tasks import Task


@dataclass(frozen=True)
class Spec:
    """All that a worker needs to begin, small enough to be sent to it."""

    config: StudyConfig
    plan: Plan
    folder: Path
    cells: dict[int, list[int]]
    threads: int = 1
    """Of each worker."""


class Worker:
    """Does tasks, one after the other; the model of the last one stays loaded.

    Parameters
    ----------
    spec : Spec
    materials : Materials, optional
        Those of this process, where it has them already.
    """

    def __init__(self, spec: Spec, materials: Materials | None = None) -> None:
        torch.set_num_threads(spec.threads)
        self.spec = spec
        self.materials = materials or Materials(spec.config)
        self.materials.cells = spec.cells
        self.store = Store.open(spec.folder / "tables.zarr")
        self._at: int | None = None
        self._runner: Runner | None = None

    def do(self, task: Task) -> Any:
        """Do a task, its results safe in the store on return; gives the certificates of interactions, else None."""
        if task.stage == "interactions":
            return self._decompose(task)
        try:
            runner = self._loaded(task.checkpoint)
            if task.stage == "table":
                self._evaluate(task, runner)
            else:
                self._measure(task, runner.model)
        except BaseException:
            # What was begun there must not run on into the next task.
            self._at = self._runner = None
            raise
        return None

    def _loaded(self, checkpoint: int) -> Runner:
        if self._runner is None or self._at != checkpoint:
            self._runner = None  # the old model goes before the new one comes
            model = self.materials.load(self.spec.plan.checkpoints[checkpoint], self.spec.folder)
            self._runner, self._at = Runner(model, self.materials.how), checkpoint
        return self._runner

    def _evaluate(self, task: Task, runner: Runner) -> None:
        label = self.spec.plan.checkpoints[task.checkpoint].label
        started = [
            self.materials.game(runner.model, self.spec.plan.samples[sample], label).start(runner)
            for sample in task.samples
        ]
        runner.flush()
        self.store.write_tables(task.checkpoint, task.samples, torch.stack([one.out for one in started]))

    def _measure(self, task: Task, model: nn.Module) -> None:
        correct = self.materials.correct(model, self.spec.plan.accuracy_samples)
        self.store.write_accuracy(task.checkpoint, correct)

    def _decompose(self, task: Task) -> Any:
        there = self.store.state("table", task.checkpoint)
        samples = [sample for sample in task.samples if there[sample] == DONE]
        config = self.spec.config.decomposition
        tables = self.store.tables(task.checkpoint, samples)
        # A gap that is missed is counted in the findings and told in the report.
        found = decompose(tables, config.kind, tol=config.tol)
        self.store.write_interactions(task.checkpoint, samples, found.values)
        if found.certificate is None:
            return samples, None
        fields = [getattr(found.certificate, name).double() for name in FIELDS]
        return samples, torch.stack(fields, dim=1).numpy()
