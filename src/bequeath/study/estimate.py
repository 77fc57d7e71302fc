"""What a run would take, from a handful of evaluations."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bequeath.games.runner import Runner
from bequeath.knowledge.regions import MODELS
from bequeath.lattice.bounds import preserved_bounds
from bequeath.lattice.decompose import decompose
from bequeath.lattice.subsets import masks
from bequeath.lattice.transforms import zeta
from bequeath.study.carry import STORE, Carrier
from bequeath.study.config import StudyConfig
from bequeath.study.engines.engine import make_engine
from bequeath.study.stages import Inputs
from bequeath.study.store import Stage, Store

# Seconds of evaluation that are timed for each model, and masks at least.
_SECONDS, _LEAST = 2.0, 64


@dataclass(frozen=True)
class Estimate:
    """What is left of a run.

    Attributes
    ----------
    tables, tables_done : int
        Value tables to be made, and there already.
    evaluations : int
        Masked inputs that a model must be called on.
    rates : dict
        Masked inputs a second of one worker, by model.
    bytes, bytes_free : int
        What the arrays take at most before compression, and what the disk has.
    seconds : dict
        By stage, with all workers.
    workers : int
    """

    tables: int
    tables_done: int
    evaluations: int
    rates: dict[str, float]
    bytes: int
    bytes_free: int
    seconds: dict[str, float]
    workers: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def estimate(config: StudyConfig, out: Path) -> Estimate:
    """Time a handful of evaluations of each model, and reckon up what a run in the folder `out` would take.

    Nothing is written there. Workers are taken to do as much together as each alone, which holds where each has cores
    or a GPU of its own.

    Raises
    ------
    BequeathError
        For input that cannot be used, as the run would.
    """
    inputs = Inputs(config)
    left, done = _left(inputs, out)
    plan, materials, entries = inputs.plan, inputs.materials, inputs.entries
    engine = make_engine(config.engine, materials)
    if materials.choosing:  # which cells they will be does not matter for their number
        assert config.players.n is not None
        materials.cells = {i: list(range(config.players.n)) for i in plan.samples}
    threads = torch.get_num_threads()
    torch.set_num_threads(engine.threads)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            timed = {name: _time_model(inputs, name, Path(scratch)) for name in MODELS}
        tables = torch.stack([table for _, _, table in timed.values()])
        each = _seconds(lambda: decompose(tables, config.decomposition.kind, tol=config.decomposition.tol))
        bounds = 0.0
        if config.decomposition.kind == "and-or" and config.salient is None:
            bounds = _seconds(lambda: preserved_bounds(tables[:1], tables[1:2]))
    finally:
        torch.set_num_threads(threads)
    evaluate, rates = 0.0, {}
    for name, (loading, one, _) in timed.items():
        rates[name] = entries / one
        counts = [left["table"][c] for c in plan.of(name)]
        evaluate += loading * sum(count > 0 for count in counts) + one * sum(counts)
    itemsize = 4 if config.store.dtype == "float32" else 8
    todo, undone = sum(left["table"]), sum(left["interactions"])
    return Estimate(
        todo,
        done,
        todo * entries,
        rates,
        itemsize * entries * (todo + 2 * undone),
        shutil.disk_usage(_existing(out)).free,
        {
            "evaluate": evaluate / engine.workers,
            "decompose": each / len(tables) * undone / engine.workers,
            "compare": bounds * len(plan.samples),
        },
        engine.workers,
    )


def _left(inputs: Inputs, out: Path) -> tuple[dict[Stage, list[int]], int]:
    """What each checkpoint lacks by stage, and how many tables are done."""
    checkpoints, samples = len(inputs.plan.checkpoints), len(inputs.plan.samples)
    stages: tuple[Stage, ...] = ("table", "interactions")
    left = {stage: [samples] * checkpoints for stage in stages}
    if (out / STORE).exists():
        carrier = Carrier(Store.open(out / STORE, "r"), inputs.axes(), inputs.identity)
        for stage in stages:
            for checkpoint, count in carrier.kept(stage).items():
                left[stage][checkpoint] -= count
    return left, checkpoints * samples - sum(left["table"])


def _existing(path: Path) -> Path:
    return next(p for p in (path.resolve(), *path.resolve().parents) if p.exists())


def _seconds(work: Callable[[], object]) -> float:
    """Of the second call: the first one may compile."""
    work()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _time_model(inputs: Inputs, name: str, scratch: Path) -> tuple[float, float, Tensor]:
    """Seconds to load a model (its second time) and for one table, and a table: its own, or one made up."""
    materials, plan = inputs.materials, inputs.plan
    checkpoint = plan.checkpoints[plan.of(name)[-1]]
    loading = _seconds(lambda: materials.load(checkpoint, scratch))
    runner = Runner(materials.load(checkpoint, scratch), materials.how)
    game = materials.game(runner.model, plan.samples[0], checkpoint.label)
    n = game.n_players
    order = torch.randperm(2**n, generator=torch.Generator().manual_seed(0))
    begin = time.perf_counter()
    # Planned for the whole table, whatever part of it is timed.
    task = runner.task(game.name, game.masked, game.value, 2**n)
    planning = time.perf_counter() - begin
    every = masks(n)
    took, done, size = 0.0, 0, _LEAST
    warm = False
    while done < 2**n and took < _SECONDS:
        rows = order[done : done + size]
        begin = time.perf_counter()
        runner.add(task, rows, every[rows].to(runner.device))
        runner.flush()
        if warm or 2**n <= size:
            took += time.perf_counter() - begin
            done += len(rows)
            size *= 2
        warm = True
    whole = planning + took / done * 2**n
    return loading, whole, task.out if done == 2**n else _made_up(n)


def _made_up(n: int) -> Tensor:
    """A table of bounded pairwise effects, for where a real one would take too long: (2**n,)."""
    generator = torch.Generator().manual_seed(0)
    effects = torch.zeros(2**n, dtype=torch.float64)
    singles = 2 ** torch.arange(n)
    pairs = (singles[:, None] + singles[None, :])[torch.triu(torch.ones(n, n), 1) > 0]
    for places, scale in ((singles, 1.0), (pairs, 1.0 / n)):
        effects[places] = scale * torch.randn(len(places), generator=generator, dtype=torch.float64)
    return 3 * torch.tanh(zeta(effects))
