"""A worker, which does a study's tasks. It holds the data and one model at a time, and writes results to the store."""

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

Decomposed: TypeAlias = dict[int, tuple[list[int], Any]]
"""By checkpoint, samples whose interactions are done, and their certificates (samples, fields) or None."""


@dataclass(frozen=True)
class Spec:
    """Everything that a worker needs to start; small enough to be sent to another machine."""

    config: StudyConfig
    plan: Plan
    folder: Path
    cells: dict[int, list[int]]
    threads: int = 1
    """Threads of each worker."""


class Worker:
    """Does tasks one after the other. The model of the last task stays loaded.

    Parameters
    ----------
    spec : Spec
    parts : StudyParts, optional
        The study's parts, if this process has them already.
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
        """Do a task, and write its data safely to the store.

        Returns
        -------
        object
            What the leading process must write: for interactions a `Decomposed`, for bounds the samples that are done,
            else None.
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
            # Work that has begun must not continue in the next task.
            self._at = self._runner = None
            raise
        return None

    def _loaded(self, checkpoint: int) -> Runner:
        if self._runner is None or self._at != checkpoint:
            self._runner = None  # frees the old model before the new one is loaded
            model = self.parts.models.load(self.spec.plan.checkpoints[checkpoint], self.spec.folder)
            self._runner, self._at = Runner(model, self.parts.inputs.how), checkpoint
        return self._runner

    def _evaluate(self, checkpoint: int, samples: Sequence[int], runner: Runner) -> None:
        plan, make = self.spec.plan, self.parts.games.game
        games = [make(runner.model, plan.samples[s], plan.checkpoints[checkpoint]) for s in samples]
        if not self.store.sparse:
            started = [game.start(runner) for game in games]
            runner.flush()
            self.store.write_tables(checkpoint, samples, torch.stack([request.out for request in started]))
            return
        shown = torch.from_numpy(self.store.shown)
        for sample, game in zip(samples, games, strict=True):
            # If the number of masks has grown, values of the first masks exist already.
            existing = self.store.evaluated(checkpoint, sample)
            if len(existing) < len(shown):
                more = game.start(runner, shown[len(existing) :])
                runner.flush()
                self.store.write_tables(checkpoint, [sample], torch.cat((existing, more.out))[None])

    def _decompose(self, task: Task) -> Decomposed:
        assert task.checkpoint is not None
        state = self.store.state("table", task.checkpoint)
        samples = [sample for sample in task.samples if state[sample] == DONE]
        config = self.spec.config.decomposition
        tables = self.store.tables(task.checkpoint, samples)
        if config.kind == "sparse":
            interactions = read(self.spec.config, self.store.shown, tables)
        else:
            # Missed duality gaps are not an error here: the findings count them and the report shows them.
            interactions = decompose(tables, config.kind, **config.options)  # type: ignore[arg-type]
        return {task.checkpoint: self._write(task.checkpoint, samples, interactions)}

    def _split_jointly(self, task: Task) -> Decomposed:
        """Decompose all checkpoints of some samples together, except checkpoints whose table failed."""
        count = len(self.spec.plan.checkpoints)
        has_table = {c: self.store.state("table", c) == DONE for c in range(count)}
        groups: dict[tuple[int, ...], list[int]] = {}
        for sample in task.samples:
            groups.setdefault(tuple(c for c in has_table if has_table[c][sample]), []).append(sample)
        decomposed: Decomposed = {}
        for checkpoints, samples in groups.items():
            if not checkpoints:
                continue
            tables = {str(c): self.store.tables(c, samples) for c in checkpoints}
            by_checkpoint = decompose_jointly(tables, **self.spec.config.decomposition.options)
            for c in checkpoints:
                done, certificates = self._write(c, samples, by_checkpoint[str(c)])
                earlier, earlier_certificates = decomposed.get(c, ([], None))
                parts = [part for part in (earlier_certificates, certificates) if part is not None]
                decomposed[c] = earlier + done, np.concatenate(parts) if parts else None
        return decomposed

    def _write(
        self, checkpoint: int, samples: list[int], interactions: Interactions
    ) -> tuple[list[int], Any]:
        """Write interactions; returns the samples and their certificates (samples, fields), or None."""
        self.store.write_interactions(checkpoint, samples, interactions)
        if interactions.certificate is None:
            return samples, None
        fields = torch.stack([getattr(interactions.certificate, name).double() for name in FIELDS], dim=1)
        if interactions.listed is not None:
            fields = torch.cat((fields, quantities(interactions.listed)), 1)
        return samples, fields.numpy()

    def _bound(self, task: Task) -> Sequence[int]:
        """Compute bounds of the samples' preserved share, and return the samples that are done."""
        settings = self.store.bounds_settings()
        assert settings is not None
        possible = {*missing(self.store, "bounds", None)}
        samples = [sample for sample in task.samples if sample in possible]
        before, after = (
            self.store.tables(checkpoint, samples) / scale
            for checkpoint, scale in zip(settings["checkpoints"], settings["scale"], strict=True)
        )
        bounds = preserved_bounds(before, after, slack=settings["slack"], entries=settings["entries"])
        self.store.write_bounds(samples, torch.stack([getattr(bounds, name) for name in BOUNDS], dim=1))
        return samples
