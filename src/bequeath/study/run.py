"""Run a study: evaluate, decompose, compare, write the findings and the report. Finished work is never redone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from bequeath.errors import BequeathError
from bequeath.games.evaluate import effect_on_values, tables
from bequeath.games.players import Text
from bequeath.games.runner import values
from bequeath.knowledge.regions import MODELS
from bequeath.lattice.decompose import decompose
from bequeath.models.outputs import check_outputs
from bequeath.study.choice import choose_cells, player_axis
from bequeath.study.config import StudyConfig, load_study
from bequeath.study.evidence import Evidence
from bequeath.study.findings import build_findings
from bequeath.study.loading import Materials
from bequeath.study.plan import Plan, identity, make_plan
from bequeath.study.progress import Bars, bars
from bequeath.study.store import Store, write_whole

# What lower precision does to each model's values, measured before the long work.
PRECISION_FILE = "precision.json"
# Tables decomposed between two writes: what a killed run can lose of this stage.
_DECOMPOSED_AT_ONCE = 256


@dataclass
class Timings:
    """Seconds by stage, added up over the starts of a run."""

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.seconds = json.loads(self.path.read_text())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's wall time to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin
            write_whole(self.path, json.dumps(self.seconds))


@dataclass(frozen=True)
class Run:
    """A finished run's folder."""

    folder: Path

    @property
    def findings(self) -> dict[str, Any]:
        """The findings, format in docs/findings.md.

        Raises
        ------
        BequeathError
            If the folder holds no findings.
        """
        path = self.folder / "findings.json"
        if not path.is_file():
            raise BequeathError(f"{self.folder}: no findings.json; finish the run with bequeath run")
        try:
            findings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BequeathError(f"{path}: not valid JSON ({error})") from None
        if not str(findings.get("schema", "")).startswith("bequeath.findings/1"):
            raise BequeathError(f"{path}: not a bequeath.findings/1 file")
        return findings

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report page (``report.html`` in the run's folder by default) and return its path."""
        from bequeath.report import render

        target = self.folder / "report.html" if path is None else Path(path)
        write_whole(target, render(self.findings))
        return target


@dataclass(frozen=True)
class Study:
    """A study, ready to run.

    Examples
    --------
    >>> run = bq.Study.from_yaml("study.yaml").run("runs/birds")
    >>> run.findings["knowledge"]["shares"]["preserved"]
    """

    config: StudyConfig

    @classmethod
    def from_yaml(cls, path: str | Path) -> Study:
        """Read and check a study file; a `BequeathError` names file, line and key of what is wrong."""
        return cls(load_study(path))

    def run(self, out: str | Path, *, progress: bool = False) -> Run:
        """Run the study in the folder `out`, or go on with what is finished there.

        Parameters
        ----------
        out : path
            The run's folder: ``study.yaml`` as resolved, ``tables.zarr``, ``findings.json``, ``report.html``.
        progress : bool
            Show progress bars.

        Raises
        ------
        BequeathError
            For input that cannot be used, before any long work starts where that can be known.
        """
        folder = Path(out)
        materials = Materials(self.config)
        kind = materials.players()
        plan = make_plan(self.config, materials.data, kind if isinstance(kind, Text) else None)
        materials.check_files(sorted({*plan.samples, *plan.accuracy_samples}))
        sample_ids = [materials.data[i].id for i in plan.samples]
        folder.mkdir(parents=True, exist_ok=True)
        timings = Timings(folder / "timings.json")
        with bars(progress) as shown:
            with timings.stage("check"):
                _check_models(materials, plan, folder, shown)
                choose_cells(materials, plan, folder, shown)
            store = Store(
                folder / "tables.zarr",
                [checkpoint.label for checkpoint in plan.checkpoints],
                sample_ids,
                player_axis(materials),
                len(plan.accuracy_samples),
                identity(self.config, plan, sample_ids),
            )
            resolved = yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False)
            write_whole(folder / "study.yaml", resolved)
            with timings.stage("evaluate"):
                _evaluate(materials, plan, store, folder, shown)
            with timings.stage("decompose"):
                _decompose(self.config, plan, store, shown)
            with timings.stage("compare"):
                tick = shown.bar("findings", len(plan.samples))
                effects = json.loads((folder / PRECISION_FILE).read_text())
                evidence = Evidence.collect(self.config, materials, plan, store, effects)
                findings = build_findings(evidence, tick)
        findings["provenance"]["seconds"] = timings.seconds
        write_whole(folder / "findings.json", json.dumps(findings, indent=1, allow_nan=False) + "\n")
        run = Run(folder)
        run.report()
        return run


def _check_models(materials: Materials, plan: Plan, folder: Path, shown: Bars) -> None:
    """Each of the three models on two samples and one mask, before the long work; skipped once it has been passed."""
    if (folder / "tables.zarr").exists():
        return
    tick = shown.bar("checking models", len(MODELS))
    example = materials.inputs([materials.data[i] for i in plan.samples[:2]])
    effects: dict[str, dict[str, float]] = {}
    for name in MODELS:
        model = materials.load(plan.checkpoints[plan.of(name)[-1]], folder)
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
        tick(1)
    write_whole(folder / PRECISION_FILE, json.dumps(effects))


def _evaluate(materials: Materials, plan: Plan, store: Store, folder: Path, shown: Bars) -> None:
    todo: dict[int, list[int]] = {}
    for position, sample in store.missing_tables():
        todo.setdefault(position, []).append(sample)
    for position in store.missing_accuracy():
        todo.setdefault(position, [])
    tick = shown.bar("value tables", sum(map(len, todo.values())))
    for position in sorted(todo):
        checkpoint = plan.checkpoints[position]
        model = materials.load(checkpoint, folder)
        games = (materials.game(model, plan.samples[sample], checkpoint.label) for sample in todo[position])
        for sample, table in zip(todo[position], tables(games, materials.how), strict=True):
            store.write_table(position, sample, table)
            tick(1)
        if position in store.missing_accuracy():
            store.write_accuracy(position, materials.correct(model, plan.accuracy_samples))


def _decompose(config: StudyConfig, plan: Plan, store: Store, shown: Bars) -> None:
    todo = [
        (checkpoint, sample)
        for checkpoint in range(len(plan.checkpoints))
        for sample in store.missing_interactions(checkpoint)
    ]
    tick = shown.bar("interactions", len(todo))
    for first in range(0, len(todo), _DECOMPOSED_AT_ONCE):
        block = todo[first : first + _DECOMPOSED_AT_ONCE]
        tables = torch.stack([store.table(checkpoint, sample) for checkpoint, sample in block])
        # A gap that is missed is counted in the findings and told in the report.
        interactions = decompose(
            tables, config.decomposition.kind, tol=config.decomposition.tol, players=store.players
        )
        for row, (checkpoint, sample) in enumerate(block):
            store.write_interactions(checkpoint, sample, interactions[row])
        tick(len(block))
