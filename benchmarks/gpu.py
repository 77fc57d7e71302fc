"""Speed on a CUDA machine compared with the bare model, a copy and the CPU, and agreement of the results.

    benchmarks/gpu.sh                                   # on the machine: finds what is missing, and runs this
    python benchmarks/gpu.py --small --device cpu       # all of it, tiny, in seconds

One Markdown table, printed, and written as gpu.md and gpu.json to $OUT if that is set. Exit code 1: results of device
and CPU differ by more than the tolerance in the table; 2: no CUDA device.

Evaluation computes values from masks as `bq.explain` does, with new plans for reuse each time. The bare model is called
on the same masked inputs, which are already on the device, at its best batch size and in its best layout. Speed is
measured with torch's defaults: TF32 in convolutions, not in matrix products. Results are compared with TF32 off.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gpu_models import VisionTransformer, resnet50
from measure import seconds
from sparse_methods import column, planted_game
from tables import structured_tables
from torch import Tensor, nn

import bequeath as bq
from bequeath.games import reuse
from bequeath.games.runner import Runner

Floats = Literal["float32", "float64"]

# Largest deviation from the CPU's results, as a share of the largest entry; of values: of their range. float32 values
# of both networks are within 1e-6 of float64 ones. Without compiled kernels, as on a GPU but on a CPU, decompositions
# deviate by 2e-5, transforms by 4e-7 (float32) and 7e-16.
VALUES, DECOMPOSED, FITTED = 1e-4, 1e-3, 1e-9
TRANSFORMED: dict[Floats, float] = {"float32": 1e-5, "float64": 1e-12}
TRANSFORMS = ("moebius", "zeta", "or_moebius", "or_zeta")
# From this number of masks on, features are reused (`bequeath.games.reuse`); this is compared, too.
COMPARED = 256


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes
    ----------
    side, resnet, vit
        Pixels, and the networks' arguments.
    grids, samples, masks, batches, rounds
        Of the evaluation: sides of the grids of players, the bare model's batch sizes to choose from.
    fits
        Players, masks, tables.
    transforms, decomposed
        Players, tables.
    budget
        Seconds for each time of a transform.
    """

    side: int
    resnet: dict[str, Any]
    vit: dict[str, Any]
    grids: tuple[int, ...]
    samples: int
    masks: int
    batches: tuple[int, ...]
    rounds: int
    fits: tuple[tuple[int, int, int], ...]
    transforms: tuple[tuple[int, int], ...]
    decomposed: tuple[int, int]
    budget: float


FULL = Sizes(
    side=224,
    resnet={},
    vit={},
    grids=(4, 8),
    samples=4,
    masks=2048,
    batches=(128, 256, 512),
    rounds=2,
    fits=((16, 256, 100), (64, 3456, 4)),
    transforms=((16, 1024), (20, 64)),
    decomposed=(6, 8),
    budget=0.4,
)
SMALL = Sizes(
    side=32,
    resnet={"blocks": (1, 1), "width": 4, "classes": 10},
    vit={"side": 32, "patch": 8, "dim": 16, "depth": 1, "heads": 2, "classes": 10},
    grids=(3, 4),
    samples=2,
    masks=256,
    batches=(64,),
    rounds=1,
    fits=((6, 48, 3), (8, 96, 2)),
    transforms=((6, 16), (8, 4)),
    decomposed=(4, 2),
    budget=0.02,
)


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure, its reference, and whether results agree, if that is checked.

    `value` is None if the time was up.
    """

    part: str
    what: str
    unit: str
    value: float | None = None
    against: str = ""
    reference: float | None = None
    agrees: bool | None = None

    @property
    def ratio(self) -> float | None:
        """The figure in units of its reference."""
        return None if self.value is None or not self.reference else self.value / self.reference

    def markdown(self) -> str:
        """The line."""
        verdict = "" if self.agrees is None else "yes" if self.agrees else "**no**"
        if self.value is None or self.reference is None or self.ratio is None:
            return f"| {self.part} | {self.what} | not measured: time was up | | | {verdict} |"
        figures = f"{figure(self.value)} {self.unit} | {self.against}: {figure(self.reference)} {self.unit}"
        return f"| {self.part} | {self.what} | {figures} | {self.ratio:.3g} | {verdict} |"


def figure(number: float) -> str:
    """A number with three significant digits, and all digits before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def table(rows: Sequence[Row]) -> str:
    """The rows in markdown."""
    head = "| part | what | measured | against | ratio | agrees |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(row.markdown() for row in rows)


def deviation(found: Tensor, expected: Tensor, scale: float | None = None) -> float:
    """Largest difference as a share of `scale`, or of the largest entry; infinite if the two cannot be compared."""
    if found.shape != expected.shape:
        return math.inf
    found, expected = (each.detach().to("cpu", torch.float64).flatten() for each in (found, expected))
    known = ~(found.isnan() & expected.isnan())  # a term's error, say, may not be known
    difference, expected = (found - expected)[known].abs(), expected[known]
    if not len(difference):
        return 0.0
    largest = difference.max().item() / (scale or expected.abs().max().item() or 1.0)
    return math.inf if math.isnan(largest) else largest


def agreement(what: str, largest: float, tolerance: float) -> Row:
    """The row of a deviation from the CPU's results."""
    return Row("agreement", what, "relative", largest, "tolerance", tolerance, largest <= tolerance)


@dataclass(frozen=True)
class Bench:
    """The device, the sizes and the time limit of the measurements."""

    device: torch.device
    sizes: Sizes
    deadline: float

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return time.perf_counter() > self.deadline

    def done(self) -> None:
        """Wait until the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, call: Callable[[], object]) -> float:
        """Median wall time of a call, including the work that it leaves to the device."""

        def whole() -> None:
            call()
            self.done()

        return seconds(whole, self.sizes.budget)

    def rate(self, call: Callable[[], object], inputs: int) -> float:
        """Inputs per second, from the median of several rounds, or from one round if the time is up."""
        times: list[float] = []
        while not times or (len(times) < self.sizes.rounds and not self.late):
            times.append(self.once(call)[0])
        return inputs / statistics.median(times)

    def once(self, call: Callable[[], Any]) -> tuple[float, Any]:
        """Wall time of one call, and what it gives."""
        self.done()
        begin = time.perf_counter()
        given = call()
        self.done()
        return time.perf_counter() - begin, given

    def models(self) -> dict[str, nn.Module]:
        """Both networks, on the CPU."""
        torch.manual_seed(0)
        return {
            "ResNet-50": resnet50(**self.sizes.resnet).eval(),
            "ViT-S/16": VisionTransformer(**self.sizes.vit).eval(),
        }

    def games(self, model: nn.Module, grid: int, count: int) -> list[bq.Game]:
        """Games of so many samples of noise."""
        generator = torch.Generator().manual_seed(1)
        pictures = torch.randn(count, 3, self.sizes.side, self.sizes.side, generator=generator)
        players, value = bq.players.grid(grid, grid), bq.values.log_odds(3)
        return [bq.Game(model, x, players, bq.baselines.mean(), value) for x in pictures]


@contextmanager
def plain_float32() -> Iterator[None]:
    """float32 is float32: no TF32."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


def through_bequeath(games: Sequence[bq.Game], masks: Tensor, **how: Any) -> Tensor:
    """Values (games, masks) as `bq.explain` has them evaluated, planning included."""
    reuse._plans.clear()
    runner = Runner(games[0].model, bq.Evaluation(**how))
    requests = []
    for game in games:
        request = runner.request(game.name, game.masked, game.value, len(masks))
        runner.add(request, torch.arange(len(masks)), masks.to(runner.device))
        requests.append(request)
    runner.flush()
    return torch.stack([request.out for request in requests])


# --- agreement


def agreements(bench: Bench) -> Iterator[Row]:
    """Values, transforms and decompositions on the device against the CPU's."""
    with plain_float32():
        for name, model in bench.models().items():
            yield values_agree(bench, name, model)
        for dtype in TRANSFORMED:
            yield transforms_agree(bench, dtype)
    yield decompositions_agree(bench)


def values_agree(bench: Bench, name: str, model: nn.Module) -> Row:
    """float32 values with all defaults, against the plain model on the CPU."""
    grid = bench.sizes.grids[0]
    masks = bq.draw_masks(grid**2, COMPARED)
    on_cpu, on_device = bench.games(copy.deepcopy(model), grid, 1), bench.games(model, grid, 1)
    expected = through_bequeath(on_cpu, masks, device="cpu", reuse=False, channels_last=False)
    found = through_bequeath(on_device, masks, device=str(bench.device))
    largest = deviation(found, expected, (expected.max() - expected.min()).item())
    what = f"values of {name}, {grid} x {grid} grid, {len(masks)} masks, float32, of their range"
    return agreement(what, largest, VALUES)


def transforms_agree(bench: Bench, dtype: Floats) -> Row:
    """All transforms at all sizes of players, a few tables."""
    worst = 0.0
    for n, _ in bench.sizes.transforms:
        v = torch.randn(4, 2**n, dtype=getattr(torch, dtype), generator=torch.Generator().manual_seed(2))
        for name in TRANSFORMS:
            transform = getattr(bq, name)
            worst = max(worst, deviation(transform(v.to(bench.device)), transform(v)))
    players = " and ".join(str(n) for n, _ in bench.sizes.transforms)
    return agreement(f"{', '.join(TRANSFORMS)}, n = {players}, {dtype}", worst, TRANSFORMED[dtype])


def decompositions_agree(bench: Bench) -> Row:
    """AND-OR interactions of tables on the device, settled as by default."""
    n, count = bench.sizes.decomposed
    v = structured_tables(n, count, torch.Generator().manual_seed(0))
    found, expected = bq.decompose(v.to(bench.device)), bq.decompose(v)
    return agreement(
        f"decompose, n = {n}, {count} tables", deviation(found.values, expected.values), DECOMPOSED
    )


# --- evaluation


def evaluation(bench: Bench) -> Iterator[Row]:
    """Inputs per second through bequeath and through the bare model, for each network and grid."""
    for name, model in bench.models().items():
        for grid in bench.sizes.grids:
            title = f"{name}, {grid**2} players, {bench.sizes.samples} x {bench.sizes.masks:,} masks"
            if bench.late:
                yield Row("evaluation", title, "inputs/s")
            else:
                yield from evaluated(bench, title, model.to(bench.device), grid)


def evaluated(bench: Bench, title: str, model: nn.Module, grid: int) -> Iterator[Row]:
    """One network and grid: with defaults, without reuse and search for a batch size, and in bfloat16."""
    games = bench.games(model, grid, bench.sizes.samples)
    masks = bq.draw_masks(grid**2, bench.sizes.masks)
    bare = Bare(bench, games, masks)
    for precision in (None, "bfloat16"):
        batch, last, rate = bare.best(precision)
        against = ", ".join(
            ["bare", f"batch {batch}", *["channels-last"] * last, *([precision] if precision else [])]
        )
        ways: dict[str, dict[str, Any]] = {precision or "as it comes": {}}
        if not precision:
            ways[f"batch {batch}, no reuse"] = {"batch_size": batch, "reuse": False, "channels_last": last}
        for way, how in ways.items():
            how = {"device": str(bench.device), "autocast": precision, **how}
            through_bequeath(games[:1], masks, **how)  # warm up
            ours = bench.rate(partial(through_bequeath, games, masks, **how), len(bare.inputs))
            yield Row("evaluation", f"{title}, {way}", "inputs/s", ours, against, rate)


class Bare:
    """The bare model of some games on all their masked inputs, which are on the device."""

    def __init__(self, bench: Bench, games: Sequence[bq.Game], masks: Tensor) -> None:
        self.bench, self.model = bench, games[0].model
        given: list[Any] = [game.masked.to(bench.device).inputs(masks) for game in games]
        self.inputs: Tensor = torch.cat(given)

    def best(self, precision: str | None) -> tuple[int, bool, float]:
        """The fastest batch size and layout (is it channels-last?), tried on some inputs, and its inputs a second."""
        rates = {}
        for last in (False, True):
            self._lay_out(last)
            for batch in self.bench.sizes.batches:
                self._run(batch, precision, batch)  # warm up
                some = 2 * max(self.bench.sizes.batches)
                rates[batch, last] = self.bench.rate(partial(self._run, batch, precision, some), some)
        batch, last = max(rates, key=lambda key: rates[key])
        self._lay_out(last)
        count = len(self.inputs)
        return batch, last, self.bench.rate(partial(self._run, batch, precision, count), count)

    def _lay_out(self, last: bool) -> None:
        layout = torch.channels_last if last else torch.contiguous_format
        self.model.to(memory_format=layout)  # type: ignore[call-overload]
        self.inputs = self.inputs.contiguous(memory_format=layout)

    def _run(self, batch: int, precision: str | None, count: int) -> None:
        lower = (
            torch.autocast(self.bench.device.type, getattr(torch, precision)) if precision else nullcontext()
        )
        with torch.inference_mode(), lower:
            for inputs in torch.split(self.inputs[:count], batch):
                self.model(inputs)


# --- exact transforms


def transforms(bench: Bench) -> Iterator[Row]:
    """Transforms compared with a copy of the same tables, which do not fit into caches, and with the CPU."""
    for n, count in bench.sizes.transforms:
        for dtype in TRANSFORMED:
            # The others are one of these, with another matrix.
            for name in ("moebius", "or_zeta"):
                what = f"{name}, n = {n}, {count:,} tables, {dtype}"
                if bench.late:
                    yield Row("transforms", what, "GB/s")
                else:
                    v = torch.randn(count, 2**n, dtype=getattr(torch, dtype))
                    yield from transformed(bench, what, getattr(bq, name), v)


def transformed(bench: Bench, what: str, transform: Callable[..., Tensor], v: Tensor) -> Iterator[Row]:
    """Bytes per second, as if tables were read and written once, and the time; on the CPU without new memory."""
    there, on_cpu = v.to(bench.device), torch.empty_like(v)
    out = torch.empty_like(there)
    ours = bench.seconds(lambda: transform(there))
    copied = bench.seconds(lambda: out.copy_(there))
    theirs = bench.seconds(lambda: transform(v, out=on_cpu))
    moved = 2 * v.numel() * v.element_size() / 1e9
    yield Row("transforms", f"{what}, of the bandwidth", "GB/s", moved / ours, "a copy", moved / copied)
    yield Row("transforms", f"{what}, time", "ms", 1e3 * ours, "the CPU", 1e3 * theirs)


# --- sparse fits


def fits(bench: Bench) -> Iterator[Row]:
    """Seconds of fits to values that are on the device or on the CPU, and whether results agree. The CPU does both."""
    bq.fit(bq.draw_masks(6, 64), torch.rand(64), 2)  # compile
    for n, count, tables in bench.sizes.fits:
        masks = bq.draw_masks(n, count)
        values = planted_values(masks, tables)
        theirs, expected = bench.once(partial(bq.fit, masks, values))
        ours, found = bench.once(partial(bq.fit, masks, values.to(bench.device)))
        what = f"fit, n = {n}, {count:,} masks, {tables} tables"
        cpu = "values on the CPU"
        yield Row("fit", f"{what}, values on the device, work on the CPU", "s", ours, cpu, theirs)
        yield agreement(what, fit_deviation(found, expected), FITTED)


def planted_values(masks: Tensor, tables: int) -> Tensor:
    """Values (tables, masks) of games of 15 AND and OR terms of up to 3 players."""
    shown = masks.numpy()
    games = [planted_game(masks.shape[1], 6, np.random.default_rng(seed)) for seed in range(tables)]
    return torch.stack(
        [
            torch.as_tensor(sum(v * column(term, shown) for term, v in game.items() if len(term[0]) <= 3))
            for game in games
        ]
    )


def fit_deviation(found: bq.Interactions, expected: bq.Interactions) -> float:
    """Largest deviation of any number of a sparse reading; infinite if the terms differ."""
    ours, theirs = found.listed, expected.listed
    assert ours is not None
    assert theirs is not None
    if (ours.members, ours.kinds) != (theirs.members, theirs.kinds):
        return math.inf
    numbers = ("value", "error", "chosen", "constant", "residual", "r2", "spread")
    return max(deviation(getattr(ours, name), getattr(theirs, name)) for name in numbers)


# --- all of it


def measured(bench: Bench) -> Iterator[Row]:
    """All rows, the most important ones first, since the time may run out."""
    yield from agreements(bench)
    yield from fits(bench)
    yield from transforms(bench)
    yield from evaluation(bench)


def machine(device: torch.device) -> str:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU alone"
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}, Python {platform.python_version()}"
    return f"{name}, {versions}, {torch.get_num_threads()} CPU thread(s), {time.strftime('%Y-%m-%d')}"


def write(where: str, rows: Sequence[Row]) -> None:
    """Write gpu.md and gpu.json to $OUT, if that is set."""
    out = os.environ.get("OUT")
    if out:
        (Path(out) / "gpu.md").write_text(f"{where}\n\n{table(rows)}\n")
        kept = {"machine": where, "rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}
        (Path(out) / "gpu.json").write_text(json.dumps(kept, indent=1) + "\n")


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print and write; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="tiny sizes, on the CPU too")
    parser.add_argument("--device", help="by default cuda; with --small, the CPU where there is none")
    parser.add_argument("--limit", type=float, default=300, help="seconds after which nothing more is begun")
    arguments = parser.parse_args(given)
    fallback = "cpu" if arguments.small and not torch.cuda.is_available() else "cuda"
    device = torch.device(arguments.device or fallback)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("gpu.py: no CUDA device here; --small --device cpu runs all of it, tiny, on the CPU")
        return 2
    bench = Bench(device, SMALL if arguments.small else FULL, time.perf_counter() + arguments.limit)
    where = machine(device)
    rows: list[Row] = []
    print(f"{where}\n\n{table(rows)}", end="")
    for row in measured(bench):
        rows.append(row)
        print(row.markdown(), flush=True)
        write(where, rows)
    return int(any(row.agrees is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
