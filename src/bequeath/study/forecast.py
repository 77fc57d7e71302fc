"""Estimates time and disk space of a run, from a small number of evaluations."""

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

# Seconds of evaluation that are timed for each model, and the smallest number of masks and accuracy samples.
_SECONDS, _LEAST = 1.0, 64
# The largest number of tables that are decomposed together to time one: for exact and for sparse readings.
_EXACT_TABLES, _SPARSE_TABLES = 24, 4


@dataclass(frozen=True)
class Forecast:
    """The remaining work of a run.

    Attributes
    ----------
    tables, tables_done : int
        Value tables that are still to be made, and that are done.
    evaluations : int
        Masked inputs that the models must evaluate.
    rates : dict of str to float
        Masked inputs per second and worker, by model.
    bytes, bytes_free : int
        The largest size of the arrays before compression, and the free disk space.
    seconds : dict of str to float
        Time of each stage, with all workers.
    workers : int
    masks : int
        Masks of each table.
    at_most : bool
        Whether the run may need fewer masks (``masks: auto``).
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
        """The forecast as a dict for JSON."""
        return asdict(self)


def forecast(config: StudyConfig, out: Path) -> Forecast:
    """Time some evaluations of each model, and estimate what a run in the folder `out` would take.

    Nothing is written into the folder. The estimate assumes that workers do not slow each other down, which holds if
    each has its own cores or GPU.

    Raises
    ------
    BequeathError
        For input that cannot be used, as in a run.
    """
    prepared = Prepared(config, partial(known_flipped, folder=out))
    left, done = _left(prepared, out)
    plan, parts, entries = prepared.plan, prepared.parts, prepared.axes().size
    engine = make_engine(config.engine, parts)
    if parts.games.choosing:  # the time does not depend on which cells are chosen
        parts.games.cells = {i: list(range(parts.games.n_players)) for i in plan.samples}
    threads = torch.get_num_threads()
    torch.set_num_threads(engine.threads)
    try:
        with tempfile.TemporaryDirectory() as cache:
            timed = {name: _time_model(prepared, name, Path(cache)) for name in plan.finals}
        decomposing, bounds = _time_lattice(prepared, [model.example for model in timed.values()])
    finally:
        torch.set_num_threads(threads)
    evaluate = 0.0
    for name, model in timed.items():
        counts = [left.evaluations[c] for c in plan.of(name)]
        evaluate += (model.load + model.accuracy) * sum(count > 0 for count in counts)
        retest = left.evaluations[plan.retests[name]] if name in plan.retests else 0
        evaluate += model.load * (retest > 0) + model.table / entries * (sum(counts) + retest)
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
            "check": sum(model.first_load for model in timed.values()),
            "evaluate": evaluate / engine.workers,
            # Each earlier reading is of half as many masks, so all of them together take as long as the last.
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
    """Seconds for one decomposition, timed in a group as large as a task's, and for the bounds of one sample."""
    config = prepared.config
    decomposition, sampling = config.decomposition, prepared.axes().sampling
    together = group_size("interactions", len(examples[0]), sparse=decomposition.sparse)
    together = min(together, config.samples, _SPARSE_TABLES if decomposition.sparse else _EXACT_TABLES)
    tables = torch.stack(examples).repeat(-(-together // len(examples)), 1)[:together]

    def decomposed(values: Tensor) -> object:
        if sampling is not None:
            return read(config, sampling.shown, values)
        if decomposition.kind == "joint":
            # All checkpoints of a sample are one problem. Here the models' last checkpoints stand for them.
            by_checkpoint = {str(i): v[None] for i, v in enumerate(values[: len(examples)])}
            return decompose_jointly(by_checkpoint, **decomposition.options)
        return decompose(values, decomposition.kind, **decomposition.options)  # type: ignore[arg-type]

    decomposed(tables[:1])  # so that compilation is not timed
    count = len(examples) if decomposition.kind == "joint" else together
    each = _seconds(lambda: decomposed(tables)) / count
    if config.bounds is None:
        return each, 0.0
    return each, _seconds(lambda: preserved_bounds(examples[0][None], examples[1][None]))


@dataclass(frozen=True)
class _Left:
    """What each checkpoint lacks: incomplete tables, masked inputs, sets of interactions."""

    tables: list[int]
    evaluations: list[int]
    interactions: list[int]


def _left(prepared: Prepared, out: Path) -> tuple[_Left, int]:
    """What each checkpoint lacks, and how many tables are complete."""
    plan, entries = prepared.plan, prepared.axes().size
    planned = [len(plan.retest_samples if c.retest else plan.samples) for c in plan.checkpoints]
    left = _Left([*planned], [samples * entries for samples in planned], [*planned])
    if (out / STORE).exists():
        carrier = Carrier(Store.open(out / STORE, "r"), prepared.axes(), prepared.identity)
        for checkpoint, values in carrier.values_kept().items():
            left.tables[checkpoint] -= sum(count == entries for count in values)
            left.evaluations[checkpoint] -= sum(values)
        for checkpoint, count in carrier.kept("interactions").items():
            left.interactions[checkpoint] -= count
    return left, sum(planned) - sum(left.tables)


def _existing(path: Path) -> Path:
    return next(p for p in (path.resolve(), *path.resolve().parents) if p.exists())


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@dataclass(frozen=True)
class _Timed:
    """Seconds of one model: for the first load (which fits its probe), a later load, a table, and its accuracy."""

    first_load: float
    load: float
    table: float
    accuracy: float
    example: Tensor
    """A value table, (masks,): the model's own, or a made-up one."""


def _time_model(prepared: Prepared, name: str, cache: Path) -> _Timed:
    parts, plan = prepared.parts, prepared.plan
    checkpoint = plan.checkpoints[plan.of(name)[-1]]
    first_load, load = (_seconds(lambda: parts.models.load(checkpoint, cache)) for _ in range(2))
    runner = Runner(parts.models.load(checkpoint, cache), parts.inputs.how)
    timed_samples = plan.accuracy_samples[:_LEAST]
    parts.inputs.correct(runner.model, timed_samples)
    each = _seconds(lambda: parts.inputs.correct(runner.model, timed_samples)) / len(timed_samples)
    game = parts.games.game(runner.model, plan.samples[0], checkpoint)
    if name in plan.retests:  # raises its errors already here
        parts.games.game(runner.model, plan.samples[0], plan.checkpoints[plan.retests[name]])
    sampling = prepared.axes().sampling
    all_masks = masks(game.n_players) if sampling is None else torch.from_numpy(sampling.shown)
    entries = len(all_masks)

    # Planned for the whole table, although only a part is timed. The first planning also traces the network.
    def planned() -> Request:
        return runner.request(game.name, game.masked, game.value, entries)

    request = planned()
    planning = _seconds(planned)
    order = torch.randperm(entries, generator=torch.Generator().manual_seed(0))
    size = min(_LEAST, entries)

    def evaluate_part() -> None:
        rows = order[:size].sort().values
        runner.add(request, rows, all_masks[rows].to(runner.device))
        runner.flush()

    evaluate_part()
    # The part grows until it takes long enough, because a small part does not fill a batch.
    while (took := _seconds(evaluate_part)) < _SECONDS and size < entries:
        size = min(2 * size, entries)
    example = request.out if size == entries else _made_up(all_masks)
    whole = planning + took / size * entries
    return _Timed(first_load, load, whole, each * len(plan.accuracy_samples), example)


def _made_up(shown: Tensor) -> Tensor:
    """Made-up values of masks from bounded pairwise effects, (masks,): real ones would take too long."""
    generator = torch.Generator().manual_seed(0)
    n = shown.shape[1]
    single = torch.randn(n, generator=generator, dtype=torch.float64)
    pairs = torch.randn(n, n, generator=generator, dtype=torch.float64).triu(1) / n
    x = shown.double()
    return 3 * torch.tanh(x @ single + ((x @ pairs) * x).sum(1))
