"""What a run would take, from a handful of evaluations."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bequeath.games.runner import Request, Runner
from bequeath.knowledge.bounds import preserved_bounds
from bequeath.lattice.exact.decompose import decompose, decompose_jointly
from bequeath.lattice.subsets import masks
from bequeath.study.config import StudyConfig
from bequeath.study.engines.choice import make_engine
from bequeath.study.engines.tasks import group_size
from bequeath.study.flipped import known_flipped
from bequeath.study.loading.readings import read
from bequeath.study.prepared import Prepared
from bequeath.study.store.carry import STORE, Carrier
from bequeath.study.store.store import Store

# Seconds of evaluation that are timed for each model, and masks and accuracy samples at least.
_SECONDS, _LEAST = 1.0, 64
# Tables at most that are decomposed, or read sparsely, together to time one.
_TOGETHER, _FEW = 24, 4


@dataclass(frozen=True)
class Forecast:
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
    masks : int
        Of each table.
    at_most : bool
        Whether fewer masks may be enough: the run finds out (``masks: auto``).
    """

    tables: int
    tables_done: int
    evaluations: int
    rates: dict[str, float]
    bytes: int
    bytes_free: int
    seconds: dict[str, float]
    workers: int
    masks: int
    at_most: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def forecast(config: StudyConfig, out: Path) -> Forecast:
    """Time a handful of evaluations of each model, and reckon up what a run in the folder `out` would take.

    Nothing is written there. Workers are taken to do as much together as each alone, which holds where each has cores
    or a GPU of its own.

    Raises
    ------
    BequeathError
        For input that cannot be used, as the run would.
    """
    prepared = Prepared(config, partial(known_flipped, folder=out))
    left, done = _left(prepared, out)
    plan, parts, entries = prepared.plan, prepared.parts, prepared.axes().size
    engine = make_engine(config.engine, parts)
    if parts.games.choosing:  # which cells they will be does not matter for their number
        parts.games.cells = {i: list(range(parts.games.n_players)) for i in plan.samples}
    threads = torch.get_num_threads()
    torch.set_num_threads(engine.threads)
    try:
        with tempfile.TemporaryDirectory() as cache:
            timed = {name: _time_model(prepared, name, Path(cache)) for name in plan.finals}
        decomposing, bounds = _time_lattice(prepared, [one.example for one in timed.values()])
    finally:
        torch.set_num_threads(threads)
    evaluate = 0.0
    for name, one in timed.items():
        counts = [left.evaluations[c] for c in plan.of(name)]
        evaluate += (one.load + one.accuracy) * sum(count > 0 for count in counts)
        again = left.evaluations[plan.retests[name]] if name in plan.retests else 0
        evaluate += one.load * (again > 0) + one.table / entries * (sum(counts) + again)
    todo, undone = sum(left.tables), sum(left.interactions)
    table, interactions = _bytes_each(prepared)
    growing = config.decomposition.sparse and config.sampling.number == "auto"
    return Forecast(
        todo,
        done,
        sum(left.evaluations),
        {name: entries / one.table for name, one in timed.items()},
        table * todo + interactions * undone,
        shutil.disk_usage(_existing(out)).free,
        {
            "check": sum(one.first_load for one in timed.values()),
            "evaluate": evaluate / engine.workers,
            # The looks before the last are at half the masks each.
            "decompose": (2 if growing else 1) * decomposing * undone / engine.workers,
            **({} if config.bounds is None else {"bounds": bounds * len(plan.samples) / engine.workers}),
        },
        engine.workers,
        entries,
        growing,
    )


def _bytes_each(prepared: Prepared) -> tuple[int, int]:
    """Bytes of a table and of its interactions, before compression."""
    with tempfile.TemporaryDirectory() as place:
        dtype = prepared.config.store.dtype
        return Store.create(Path(place) / STORE, prepared.axes(), prepared.identity, dtype).bytes_each


def _time_lattice(prepared: Prepared, examples: list[Tensor]) -> tuple[float, float]:
    """Seconds for one decomposition among as many as a task has, and for one sample's bounds."""
    config = prepared.config
    decomposition, sampling = config.decomposition, prepared.axes().sampling
    together = group_size("interactions", len(examples[0]), sparse=decomposition.sparse)
    together = min(together, config.samples, _FEW if decomposition.sparse else _TOGETHER)
    tables = torch.stack(examples).repeat(-(-together // len(examples)), 1)[:together]

    def decomposed(some: Tensor) -> object:
        if sampling is not None:
            return read(config, sampling.shown, some)
        if decomposition.kind == "joint":
            # All checkpoints of a sample are one problem; here its models' last ones stand for them.
            each = {str(i): v[None] for i, v in enumerate(some[: len(examples)])}
            return decompose_jointly(each, **decomposition.options)
        return decompose(some, decomposition.kind, **decomposition.options)  # type: ignore[arg-type]

    decomposed(tables[:1])  # what is compiled, is
    count = len(examples) if decomposition.kind == "joint" else together
    each = _seconds(lambda: decomposed(tables)) / count
    if config.bounds is None:
        return each, 0.0
    return each, _seconds(lambda: preserved_bounds(examples[0][None], examples[1][None]))


@dataclass(frozen=True)
class _Left:
    """What each checkpoint lacks: tables that are not whole, masked inputs, sets of interactions."""

    tables: list[int]
    evaluations: list[int]
    interactions: list[int]


def _left(prepared: Prepared, out: Path) -> tuple[_Left, int]:
    """What each checkpoint lacks, and how many tables are whole."""
    plan, entries = prepared.plan, prepared.axes().size
    asked = [len(plan.retest_samples if one.retest else plan.samples) for one in plan.checkpoints]
    left = _Left([*asked], [samples * entries for samples in asked], [*asked])
    if (out / STORE).exists():
        carrier = Carrier(Store.open(out / STORE, "r"), prepared.axes(), prepared.identity)
        for checkpoint, values in carrier.values_kept().items():
            left.tables[checkpoint] -= sum(count == entries for count in values)
            left.evaluations[checkpoint] -= sum(values)
        for checkpoint, count in carrier.kept("interactions").items():
            left.interactions[checkpoint] -= count
    return left, sum(asked) - sum(left.tables)


def _existing(path: Path) -> Path:
    return next(p for p in (path.resolve(), *path.resolve().parents) if p.exists())


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@dataclass(frozen=True)
class _Timed:
    """Seconds that one model takes: to be loaded first (with its probe fitted) and later, for a table, for accuracy."""

    first_load: float
    load: float
    table: float
    accuracy: float
    example: Tensor
    """Its own table, or one made up."""


def _time_model(prepared: Prepared, name: str, cache: Path) -> _Timed:
    parts, plan = prepared.parts, prepared.plan
    checkpoint = plan.checkpoints[plan.of(name)[-1]]
    first_load, load = (_seconds(lambda: parts.models.load(checkpoint, cache)) for _ in range(2))
    runner = Runner(parts.models.load(checkpoint, cache), parts.inputs.how)
    few = plan.accuracy_samples[:_LEAST]
    parts.inputs.correct(runner.model, few)
    each = _seconds(lambda: parts.inputs.correct(runner.model, few)) / len(few)
    game = parts.games.game(runner.model, plan.samples[0], checkpoint)
    if name in plan.retests:  # refused here already where it does not fit
        parts.games.game(runner.model, plan.samples[0], plan.checkpoints[plan.retests[name]])
    sampling = prepared.axes().sampling
    every = masks(game.n_players) if sampling is None else torch.from_numpy(sampling.shown)
    entries = len(every)

    # Planned for the whole table, whatever part of it is timed; the first time, the network is traced as well.
    def planned() -> Request:
        return runner.request(game.name, game.masked, game.value, entries)

    request = planned()
    planning = _seconds(planned)
    order = torch.randperm(entries, generator=torch.Generator().manual_seed(0))
    size = min(_LEAST, entries)

    def some() -> None:
        rows = order[:size].sort().values
        runner.add(request, rows, every[rows].to(runner.device))
        runner.flush()

    some()
    # Larger and larger parts: small ones do not fill a batch.
    while (took := _seconds(some)) < _SECONDS and size < entries:
        size = min(2 * size, entries)
    example = request.out if size == entries else _made_up(every)
    whole = planning + took / size * entries
    return _Timed(first_load, load, whole, each * len(plan.accuracy_samples), example)


def _made_up(shown: Tensor) -> Tensor:
    """Values of bounded pairwise effects on masks, for where real ones would take too long: (masks,)."""
    generator = torch.Generator().manual_seed(0)
    n = shown.shape[1]
    single = torch.randn(n, generator=generator, dtype=torch.float64)
    pairs = torch.randn(n, n, generator=generator, dtype=torch.float64).triu(1) / n
    x = shown.double()
    return 3 * torch.tanh(x @ single + ((x @ pairs) * x).sum(1))
