"""The stages of a run, one after the other. Each continues from what the folder already holds."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError
from bequeath.files import write_whole
from bequeath.lattice.sparse.growth import Look, next_number, why_enough
from bequeath.study.choice import choose_cells
from bequeath.study.engines.choice import make_engine
from bequeath.study.engines.contract import Slot
from bequeath.study.engines.dispatch import dispatch
from bequeath.study.engines.tasks import Agenda, Outcome, group_size, missing
from bequeath.study.engines.worker import Spec
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.findings import build_findings
from bequeath.study.findings.missing import FAILURES_FILE
from bequeath.study.hidden import hide
from bequeath.study.loading.digests import key_of
from bequeath.study.meaning import understand
from bequeath.study.prepared import Prepared
from bequeath.study.status import Status
from bequeath.study.store.carry import STORE, Carrier, copy_probes, replace_store
from bequeath.study.store.folder import keep_study, kept, read_object
from bequeath.study.store.store import DONE, FAILED, Stage, Store

logger = logging.getLogger(__name__)

_TITLES: dict[Stage, str] = {"table": "value tables", "interactions": "interactions", "bounds": "bounds"}


@dataclass
class Timings:
    """Seconds of each stage, summed over all starts of a run."""

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.seconds = read_object(self.path)
        if not all(isinstance(value, (int, float)) for value in self.seconds.values()):
            raise BequeathError(
                f"{self.path}: damaged: the seconds of a stage are not a number; remove it and start again"
            )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the wall time of the `with` statement to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - begin
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            logger.info("%s: %.1f s", name, took)
        write_whole(self.path, json.dumps(self.seconds))


class Stages:
    """One start of a run, in a folder that only this process uses."""

    def __init__(self, prepared: Prepared, folder: Path, status: Status, like: Path | None = None) -> None:
        self.prepared, self.folder, self.status, self.like = prepared, folder, status, like
        self.timings = Timings(folder / "timings.json")
        self.failures: list[dict[str, Any]] = []
        (folder / FAILURES_FILE).unlink(missing_ok=True)  # failed tasks are tried again

    def run(self, update: bool) -> dict[str, Any]:
        """Run all stages.

        Parameters
        ----------
        update : bool
            Whether results that a changed study makes invalid may be dropped.

        Returns
        -------
        dict
            The findings.
        """
        config, parts, plan = self.prepared.config, self.prepared.parts, self.prepared.plan
        with self.timings.stage("check"):
            carrier = self._changed(update)
            keep_study(self.folder, config)
            meaning = kept(self.folder, "meaning", self.prepared.game_key, self._understood)
            choose_cells(parts, plan, self.folder, self.prepared.game_key, self.status)
            store = self._store(carrier)
            store.majority = self.prepared.majority
            self._check_room(store)
        spec = Spec(config, plan, self.folder.resolve(), parts.games.cells)
        with make_engine(config.engine, parts)(spec) as slots:
            enough = False
            while not enough:
                with self.timings.stage("evaluate"):
                    self._do(store, slots, "table", "accuracy")
                with self.timings.stage("decompose"):
                    self._do(store, slots, "interactions")
                enough = self._is_enough(store)
            if config.bounds is not None:
                with self.timings.stage("bounds"):
                    self._begin_bounds(store, Evidence.read(config, self.folder))
                    self._do(store, slots, "bounds")
        with self.timings.stage("compare"):
            evidence = Evidence.read(config, self.folder)
            for first, second in evidence.same_file():
                logger.warning("models.%s and models.%s are the same file", first, second)
            key = key_of(self.prepared.findings_key, evidence.samples)
            hidden = kept(
                self.folder, "hidden", key, lambda: hide(parts, plan, evidence, self.folder, self.status)
            )
            findings = build_findings(evidence, parts, plan, meaning, hidden)
        findings["provenance"] |= {"seconds": self.timings.seconds, "key": self.prepared.findings_key}
        return findings

    def _is_enough(self, store: Store) -> bool:
        """Whether the readings have enough masks; if not, ask the store for more."""
        config, n = self.prepared.config, self.prepared.parts.games.n_players
        if not config.decomposition.sparse or config.sampling.number != "auto":
            return True
        # A look at the current number of masks comes from an interrupted start, and is repeated.
        looks = [Look(**look) for look in store.looks if look["masks"] < store.wanted]
        readings = [
            store.interactions(c, done)
            for c in self.prepared.plan.finals.values()
            if (done := _done(store, c))
        ]
        if not readings:
            return True
        looks.append(Look.at(store.wanted, readings))
        store.keep_looks([asdict(look) for look in looks])
        reason = why_enough(looks, n, config.sampling.limit)
        logger.info("%d masks: %s", store.wanted, reason or "more may be better")
        if reason is None:
            store.want(next_number(looks, n, config.sampling.limit))
        return reason is not None

    def _begin_bounds(self, store: Store, evidence: Evidence) -> None:
        """Prepare the bounds of the preserved share, on the scales of the comparison."""
        config, scale, plan = self.prepared.config, evidence.comparison.scale, self.prepared.plan
        assert config.bounds is not None
        finals = [plan.finals[name] for name in (config.roles.before, config.roles.after)]
        store.begin_bounds(
            {
                "checkpoints": finals,
                "scale": [scale["before"], scale["after"]],
                **config.bounds.model_dump(),
                # New tables invalidate the bounds.
                "tables": key_of(self.prepared.game_key, finals),
            }
        )

    def _changed(self, update: bool) -> Carrier | None:
        """How arrays of a changed study, or of the run that `like` names, are carried over; None if nothing is."""
        if not (self.folder / STORE).exists():
            if self.like is None or not (self.like / STORE).exists():
                return None
            copy_probes(self.like, self.folder)
            return Carrier(Store.open(self.like / STORE), self.prepared.axes(), self.prepared.identity)
        carrier = Carrier(Store.open(self.folder / STORE), self.prepared.axes(), self.prepared.identity)
        change = carrier.change()
        if change is None:
            return None
        if any(change.lost.values()) and not update:
            raise BequeathError(
                f"{self.folder}: {change}; give --update to keep what is valid and compute the rest anew, or choose "
                "another --out"
            )
        logger.warning("%s", change)
        return carrier

    def _store(self, carrier: Carrier | None) -> Store:
        place = self.folder / STORE
        if carrier is not None:
            return replace_store(self.folder, carrier.into)
        if not place.exists():
            axes, dtype = self.prepared.axes(), self.prepared.config.store.dtype
            return replace_store(
                self.folder, lambda path: Store.create(path, axes, self.prepared.identity, dtype)
            )
        return Store.open(place)

    def _check_room(self, store: Store) -> None:
        needed = bytes_left(store)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise BequeathError(
                f"{self.folder}: the arrays need up to {needed / 1e9:.3g} GB more, but only {free / 1e9:.3g} GB are "
                "free; make room, or choose another --out, fewer samples, or store: {dtype: float32}"
            )

    def _understood(self) -> dict[str, Any]:
        """Check the models before the long work."""
        return understand(self.prepared.parts, self.prepared.plan, self.folder, self.status)

    def _do(self, store: Store, slots: Sequence[Slot], *stages: Stage) -> None:
        """Do all tasks of some stages; progress is shown under the first one's name."""
        first, plan = stages[0], self.prepared.plan
        counts = dict.fromkeys(plan.finals, (0, 0))
        rows: Sequence[int | None] = [None] if first == "bounds" else range(len(plan.checkpoints))
        done = total = 0
        for row in rows:
            done_here = int((store.state(first, row) == DONE).sum())
            total_here = done_here + len(missing(store, first, row))
            done, total = done + done_here, total + total_here
            if row is not None:
                name = plan.checkpoints[row].model
                counts[name] = counts[name][0] + done_here, counts[name][1] + total_here
        title = _TITLES[first] + (f" of {store.wanted} masks" if store.sparse and first != "bounds" else "")
        stage_status = self.status.stage(title, total, done, counts if first == "table" else {})
        sizes = {stage: group_size(stage, store.shape[2], sparse=store.sparse) for stage in stages}
        for outcomes in dispatch(slots, Agenda(store, sizes, jointly=self.prepared.jointly)):
            for outcome in outcomes:
                task = outcome.task
                new = self._record(store, outcome)
                if task.stage == "accuracy":
                    continue
                failed = 0 if outcome.error is None else len(task.samples)
                by_model = first == "table" and task.checkpoint is not None
                model = plan.checkpoints[task.checkpoint].model if by_model else None  # type: ignore[index]
                self.status.advance(stage_status, new, model, failed)
        logger.info(
            "%s: %d of %d were done before, %d are done now, %d failed",
            title,
            done,
            total,
            stage_status.done,
            stage_status.failed,
        )

    def _record(self, store: Store, outcome: Outcome) -> int:
        """Mark an outcome's samples as done, and count the new ones. Their data are already on the disk."""
        task = outcome.task
        if outcome.error is not None:
            self._give_up(store, outcome)
            return 0
        done: dict[int | None, Sequence[int]] = {task.checkpoint: task.samples}
        if task.stage == "bounds":
            done = {None: outcome.result}
        if task.stage == "interactions":
            done = {}
            for checkpoint, (samples, certificates) in outcome.result.items():
                if certificates is not None:
                    store.write_certificates(checkpoint, samples, certificates)
                done[checkpoint] = samples
        new = 0
        for row, samples in done.items():
            # A group is repeated even if a single sample of it was missing; only that sample counts as new.
            new += int((store.state(task.stage, row)[list(samples)] != DONE).sum())
            store.mark(task.stage, row, samples, DONE)
        return new

    def _give_up(self, store: Store, outcome: Outcome) -> None:
        task, checkpoints = outcome.task, self.prepared.plan.checkpoints
        rows: Sequence[int | None] = [task.checkpoint]
        if task.stage == "interactions" and task.checkpoint is None:
            rows = range(len(checkpoints))
        for row in rows:
            store.mark(task.stage, row, task.samples, FAILED)
        self.failures.append(
            {
                "stage": task.stage,
                "checkpoint": None if task.checkpoint is None else checkpoints[task.checkpoint].label,
                "samples": [store.names("sample")[position] for position in task.samples],
                "attempts": outcome.attempts,
                "error": outcome.error,
            }
        )
        write_whole(self.folder / FAILURES_FILE, json.dumps(self.failures, indent=1))
        logger.error("gave up: %s", self.failures[-1])


def _done(store: Store, checkpoint: int) -> list[int]:
    """Positions of the samples whose interactions are done."""
    positions: list[int] = (store.state("interactions", checkpoint) == DONE).nonzero()[0].tolist()
    return positions


def bytes_left(store: Store) -> int:
    """The largest number of bytes that the missing arrays will take."""
    checkpoints = range(store.shape[0])
    tables = sum(len(missing(store, "table", c)) for c in checkpoints)
    others = sum(len(missing(store, "interactions", c)) for c in checkpoints)
    table, interactions = store.bytes_each
    return table * tables + interactions * (tables + others)
