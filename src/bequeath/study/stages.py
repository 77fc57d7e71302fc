"""The stages of a run, one after the other, each going on from what the folder holds."""

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

import torch

from bequeath.errors import BequeathError
from bequeath.files import write_whole
from bequeath.games.evaluate import effect_on_values
from bequeath.games.players import Text
from bequeath.games.runner import values
from bequeath.knowledge.regions import MODELS
from bequeath.models.outputs import check_outputs
from bequeath.study.choice import choose_cells, player_axis
from bequeath.study.config import StudyConfig
from bequeath.study.engines.choice import make_engine
from bequeath.study.engines.contract import Slot
from bequeath.study.engines.dispatch import dispatch
from bequeath.study.findings.evidence import Evidence
from bequeath.study.findings.findings import build_findings
from bequeath.study.findings.missing import FAILURES_FILE, comparable_part
from bequeath.study.folder import keep_study, kept, read_json
from bequeath.study.loading import Materials
from bequeath.study.plan import make_plan
from bequeath.study.status import Status
from bequeath.study.store.carry import STORE, Carrier, copy_probes, replace_store
from bequeath.study.store.digests import key_of
from bequeath.study.store.identity import identity
from bequeath.study.store.layout import Axes
from bequeath.study.store.store import DONE, FAILED, Stage, Store
from bequeath.study.tasks import Agenda, Outcome, group_size, missing
from bequeath.study.worker import Spec

logger = logging.getLogger(__name__)

_WORDS: dict[Stage, str] = {"table": "value tables", "interactions": "interactions"}


@dataclass
class Timings:
    """Seconds by stage, added up over the starts of a run."""

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.seconds = read_json(self.path)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's wall time to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin
        write_whole(self.path, json.dumps(self.seconds))


class Inputs:
    """A study's data and plan, and what its numbers depend on: known before any work."""

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        for name, model in config.all_models().items():
            if config.training is not None and model.weights is None and not model.checkpoints:
                raise BequeathError(
                    f"models.{name}: not trained yet; first bequeath train STUDY --out trained, then run what "
                    "it writes"
                )
        self.materials = Materials(config)
        kind = self.materials.players()
        self.plan = make_plan(config, self.materials.data, kind if isinstance(kind, Text) else None)
        self.materials.check_files(sorted({*self.plan.samples, *self.plan.accuracy_samples}))
        self.identity = identity(self.materials, self.plan)

    @property
    def game_key(self) -> str:
        """Short for everything that games depend on."""
        return key_of(*(self.identity[part] for part in ("game", "checkpoints", "samples")))

    @property
    def entries(self) -> int:
        """Entries of a value table: 2**n."""
        return int(2**self.materials.n_players)

    def axes(self) -> Axes:
        """Coordinates of the run's arrays."""
        plan, data = self.plan, self.materials.data
        return Axes(
            [checkpoint.label for checkpoint in plan.checkpoints],
            [checkpoint.step for checkpoint in plan.checkpoints],
            list(self.identity["samples"]),
            [self.materials.classes[data.labels[i]] for i in plan.samples],
            player_axis(self.materials),
            len(plan.accuracy_samples),
        )


class Stages:
    """One start of a run in a folder that is this process's own."""

    def __init__(self, inputs: Inputs, folder: Path, status: Status, like: Path | None = None) -> None:
        self.inputs, self.folder, self.status, self.like = inputs, folder, status, like
        self.timings = Timings(folder / "timings.json")
        self.failures: list[dict[str, Any]] = []
        (folder / FAILURES_FILE).unlink(missing_ok=True)  # what failed is tried again

    def run(self, update: bool) -> dict[str, Any]:
        """All stages; gives the findings."""
        with self.timings.stage("check"):
            carrier = self._changed(update)
            keep_study(self.folder, self.inputs.config)
            effects = kept(self.folder, "precision", self.inputs.game_key, self._check_models)
            choose_cells(
                self.inputs.materials, self.inputs.plan, self.folder, self.inputs.game_key, self.status
            )
            store = self._store(carrier)
            self._check_room(store)
        spec = Spec(self.inputs.config, self.inputs.plan, self.folder.resolve(), self.inputs.materials.cells)
        engine = make_engine(self.inputs.config.engine, self.inputs.materials)
        with engine(spec) as slots:
            with self.timings.stage("evaluate"):
                self._do(store, slots, "table", "accuracy")
            with self.timings.stage("decompose"):
                self._do(store, slots, "interactions")
        with self.timings.stage("compare"):
            part = comparable_part(store, self.inputs.plan, self.folder)
            told = self.status.stage("findings", len(part.samples))
            evidence = Evidence.collect(self.inputs.config, self.inputs.materials, part, store, effects)
            findings = build_findings(evidence, lambda done: self.status.advance(told, done))
        findings["provenance"]["seconds"] = self.timings.seconds
        return findings

    def _changed(self, update: bool) -> Carrier | None:
        """What the folder's arrays hold of a study that has changed; None where nothing has to be carried over."""
        if not (self.folder / STORE).exists():
            if self.like is None or not (self.like / STORE).exists():
                return None
            copy_probes(self.like, self.folder)
            return Carrier(Store.open(self.like / STORE), self.inputs.axes(), self.inputs.identity)
        carrier = Carrier(Store.open(self.folder / STORE), self.inputs.axes(), self.inputs.identity)
        change = carrier.change()
        if change is None:
            return None
        if any(change.lost.values()) and not update:
            raise BequeathError(
                f"{self.folder}: {change}; give --update to go on with what is valid and compute the rest anew, "
                "or choose another --out"
            )
        logger.warning("%s", change)
        return carrier

    def _store(self, carrier: Carrier | None) -> Store:
        place = self.folder / STORE
        if carrier is not None:
            return replace_store(self.folder, carrier.into)
        if not place.exists():
            axes, dtype = self.inputs.axes(), self.inputs.config.store.dtype
            return replace_store(
                self.folder, lambda path: Store.create(path, axes, self.inputs.identity, dtype)
            )
        return Store.open(place)

    def _check_room(self, store: Store) -> None:
        needed = bytes_left(store)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise BequeathError(
                f"{self.folder}: the arrays need up to {needed / 1e9:.3g} GB more, and {free / 1e9:.3g} GB are free; "
                "make room, choose another --out, fewer samples, or store: {dtype: float32}"
            )

    def _check_models(self) -> dict[str, Any]:
        """Each of the three models on two samples and one mask, before the long work; what lower precision does."""
        materials, plan = self.inputs.materials, self.inputs.plan
        stage = self.status.stage("checking models", len(MODELS))
        example = materials.inputs([materials.data[i] for i in plan.samples[:2]])
        effects: dict[str, dict[str, float]] = {}
        for name in MODELS:
            model = materials.load(plan.checkpoints[plan.of(name)[-1]], self.folder)
            check_outputs(model, example, materials.outputs, f"models.{name}")
            game = materials.game(model, plan.samples[0], name)
            if game.n_players != materials.n_players and not materials.choosing:
                raise BequeathError(
                    f"players: {game.n_players} in sample {materials.data[plan.samples[0]].id}, "
                    f"{materials.n_players} in the study"
                )
            none = torch.zeros(1, game.n_players, dtype=torch.bool)
            values(model, game.masked, game.value, none, materials.how, name)
            if materials.how.autocast is not None:
                effects[name] = effect_on_values(game, **asdict(materials.how))
            self.status.advance(stage, 1)
        return effects

    def _do(self, store: Store, slots: Sequence[Slot], *stages: Stage) -> None:
        """Have all tasks of some stages done, told under the first one's name."""
        first = stages[0]
        sizes = {stage: group_size(stage, self.inputs.entries) for stage in stages}
        labels = [checkpoint.model for checkpoint in self.inputs.plan.checkpoints]
        counts = {name: [0, 0] for name in MODELS}
        for checkpoint, model in enumerate(labels):
            counts[model][0] += int((store.state(first, checkpoint) == DONE).sum())
            # Tables that failed have no interactions.
            possible = store.state("table", checkpoint) == DONE if first == "interactions" else None
            counts[model][1] += store.shape[1] if possible is None else int(possible.sum())
        done, total = (sum(count[i] for count in counts.values()) for i in (0, 1))
        if first == "interactions":
            counts = {}
        told = self.status.stage(
            _WORDS[first], total, done, {name: (a, b) for name, (a, b) in counts.items()}
        )
        for outcomes in dispatch(slots, Agenda(store, sizes)):
            for outcome in outcomes:
                task = outcome.task
                # A group that is decomposed again, because one of it was missing, counts for that one.
                new = missing(store, task.stage, task.checkpoint) if len(task.samples) > 1 else task.samples
                made = len({*new} & {*self._record(store, outcome)})
                if task.stage != "accuracy":
                    failed = 0 if outcome.error is None else len(task.samples)
                    self.status.advance(told, made, labels[task.checkpoint] if counts else None, failed)

    def _record(self, store: Store, outcome: Outcome) -> Sequence[int]:
        """Mark what is done, and give its samples; the data were on the disk before."""
        task = outcome.task
        if outcome.error is None:
            samples = task.samples
            if task.stage == "interactions":
                samples, certificates = outcome.result
                if certificates is not None:
                    store.write_certificates(task.checkpoint, samples, certificates)
            store.mark(task.stage, task.checkpoint, samples, DONE)
            return list(samples)
        store.mark(task.stage, task.checkpoint, task.samples, FAILED)
        self.failures.append(
            {
                "stage": task.stage,
                "checkpoint": self.inputs.plan.checkpoints[task.checkpoint].label,
                "samples": [store.names("sample")[place] for place in task.samples],
                "attempts": outcome.attempts,
                "error": outcome.error,
            }
        )
        write_whole(self.folder / FAILURES_FILE, json.dumps(self.failures, indent=1))
        logger.error("gave up: %s", self.failures[-1])
        return []


def bytes_left(store: Store) -> int:
    """Bytes that the arrays which are not there yet take at most: a table and two kinds of interactions each."""
    checkpoints, _, entries = store.shape
    tables = sum(len(missing(store, "table", c)) for c in range(checkpoints))
    others = sum(len(missing(store, "interactions", c)) for c in range(checkpoints))
    return store.itemsize * entries * (tables + 2 * (tables + others))
