"""What does a study's tasks: it holds the data and one model at a time, and writes what it finds into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from bequeath.games.runner import Runner
from bequeath.knowledge.bounds import preserved_bounds
from bequeath.knowledge.identifiability import BOUNDS
from bequeath.lattice.exact.decompose import decompose, decompose_jointly
from bequeath.lattice.interactions import Interactions
from bequeath.study.config import StudyConfig
from bequeath.study.engines.tasks import Task, missing
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan
from bequeath.study.loading.readings import read
from bequeath.study.store.layout import FIELDS
from bequeath.study.store.store import DONE, Store
from bequeath.study.store.terms import quantities

Made: TypeAlias = dict[int, tuple[list[int], Any]]
"""By checkpoint: samples whose interactions are done, and their certificates (samples, fields), or None."""


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
    parts : StudyParts, optional
        Those of this process, where it has them already.
    """

    def __init__(self, spec: Spec, parts: StudyParts | None = None) -> None:
        torch.set_num_threads(spec.threads)
        self.spec = spec
        self.parts = parts or StudyParts.of(spec.config)
        self.parts.games.cells = spec.cells
        self.store = Store.open(spec.folder / "tables.zarr")
        self._at: int | None = None
        self._runner: Runner | None = None

    def do(self, task: Task) -> Any:
        """Do a task, its results safe in the store on return; gives what the leading process is to write.

        That is, of interactions, for each checkpoint the samples that are done and their certificates (or None).
        """
        if task.stage == "interactions":
            return self._split_jointly(task) if task.checkpoint is None else self._decompose(task)
        if task.stage == "bounds":
            return self._bound(task)
        assert task.checkpoint is not None
        try:
            runner = self._loaded(task.checkpoint)
            if task.stage == "table":
                self._evaluate(task.checkpoint, task.samples, runner)
            else:
                order = self.parts.outputs.order(self.spec.plan.checkpoints[task.checkpoint])
                correct = self.parts.inputs.correct(runner.model, self.spec.plan.accuracy_samples, order)
                self.store.write_accuracy(task.checkpoint, correct)
        except BaseException:
            # What was begun there must not run on into the next task.
            self._at = self._runner = None
            raise
        return None

    def _loaded(self, checkpoint: int) -> Runner:
        if self._runner is None or self._at != checkpoint:
            self._runner = None  # the old model goes before the new one comes
            model = self.parts.models.load(self.spec.plan.checkpoints[checkpoint], self.spec.folder)
            self._runner, self._at = Runner(model, self.parts.inputs.how), checkpoint
        return self._runner

    def _evaluate(self, checkpoint: int, samples: Sequence[int], runner: Runner) -> None:
        plan, make = self.spec.plan, self.parts.games.game
        games = [make(runner.model, plan.samples[s], plan.checkpoints[checkpoint]) for s in samples]
        if not self.store.sparse:
            started = [game.start(runner) for game in games]
            runner.flush()
            self.store.write_tables(checkpoint, samples, torch.stack([one.out for one in started]))
            return
        shown = torch.from_numpy(self.store.shown)
        for sample, game in zip(samples, games, strict=True):
            # Values on fewer masks are there where their number has grown.
            there = self.store.evaluated(checkpoint, sample)
            if len(there) < len(shown):
                more = game.start(runner, shown[len(there) :])
                runner.flush()
                self.store.write_tables(checkpoint, [sample], torch.cat((there, more.out))[None])

    def _decompose(self, task: Task) -> Made:
        assert task.checkpoint is not None
        there = self.store.state("table", task.checkpoint)
        samples = [sample for sample in task.samples if there[sample] == DONE]
        config = self.spec.config.decomposition
        tables = self.store.tables(task.checkpoint, samples)
        if config.kind == "sparse":
            found = read(self.spec.config, self.store.shown, tables)
        else:
            # A gap that is missed is counted in the findings and told in the report.
            found = decompose(tables, config.kind, **config.options)  # type: ignore[arg-type]
        return {task.checkpoint: self._kept(task.checkpoint, samples, found)}

    def _split_jointly(self, task: Task) -> Made:
        """All checkpoints of some samples together; those whose table failed are not among them."""
        count = len(self.spec.plan.checkpoints)
        there = {c: self.store.state("table", c) == DONE for c in range(count)}
        groups: dict[tuple[int, ...], list[int]] = {}
        for sample in task.samples:
            groups.setdefault(tuple(c for c in there if there[c][sample]), []).append(sample)
        made: Made = {}
        for checkpoints, samples in groups.items():
            if not checkpoints:
                continue
            tables = {str(c): self.store.tables(c, samples) for c in checkpoints}
            found = decompose_jointly(tables, **self.spec.config.decomposition.options)
            for c in checkpoints:
                done, certificates = self._kept(c, samples, found[str(c)])
                before, others = made.get(c, ([], None))
                both = [part for part in (others, certificates) if part is not None]
                made[c] = before + done, np.concatenate(both) if both else None
        return made

    def _kept(self, checkpoint: int, samples: list[int], found: Interactions) -> tuple[list[int], Any]:
        self.store.write_interactions(checkpoint, samples, found)
        if found.certificate is None:
            return samples, None
        fields = torch.stack([getattr(found.certificate, name).double() for name in FIELDS], dim=1)
        if found.listed is not None:
            fields = torch.cat((fields, quantities(found.listed)), 1)
        return samples, fields.numpy()

    def _bound(self, task: Task) -> Sequence[int]:
        """Bounds of the samples' preserved share; gives those that are done."""
        settings = self.store.bounds_settings()
        assert settings is not None
        possible = {*missing(self.store, "bounds", None)}
        samples = [sample for sample in task.samples if sample in possible]
        before, after = (
            self.store.tables(checkpoint, samples) / scale
            for checkpoint, scale in zip(settings["checkpoints"], settings["scale"], strict=True)
        )
        found = preserved_bounds(before, after, slack=settings["slack"], entries=settings["entries"])
        self.store.write_bounds(samples, torch.stack([getattr(found, name) for name in BOUNDS], dim=1))
        return samples
