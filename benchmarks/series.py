"""Time of decomposing 50 checkpoints of one run, compared with one checkpoint, as a Markdown table.

    python benchmarks/series.py

Runs: a small convolutional network learns the digits that come with scikit-learn, its borders cut off, and is read on
one picture with n rectangles of pixels as players, at 50 checkpoints evenly spaced over the training (linear) or denser
at its beginning (logarithmic). Walks: a random table plus one random step per checkpoint, each a tenth of its size.
"Before" is the older solver: the iteration alone, without Newton's method. CPU time of one thread, the smallest of some
repetitions. All solvers reach the default resolution, or the table says what they reached.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from sklearn.datasets import load_digits
from tables import random_tables
from torch import Tensor, nn

from bequeath.lattice.exact import newton
from bequeath.lattice.exact.decompose import CertificateWarning, decompose
from bequeath.lattice.interactions import Interactions

GRIDS = {8: (2, 4), 9: (3, 3), 10: (2, 5)}
SIDE, CLASSES, BATCH = 6, 10, 64


def walk(n: int, checkpoints: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    steps = random_tables(n, checkpoints, generator)
    return steps[0] + 0.1 * steps.cumsum(0)


def run(n: int, checkpoints: int, seed: int, *, steps: int, spacing: str) -> Tensor:
    """Log odds of the true class on all masks of one picture, shape (checkpoints, 2**n)."""
    torch.manual_seed(seed)
    digits = load_digits()
    pictures = torch.tensor(digits.images[:, 1:-1, 1:-1]).float()[:, None] / 16
    labels = torch.tensor(digits.target)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * (SIDE // 2) ** 2, CLASSES),
    )  # fmt: skip
    rows, columns = GRIDS[n]
    player = torch.empty(SIDE, SIDE, dtype=torch.int64)
    for i, row in enumerate(torch.arange(SIDE).tensor_split(rows)):
        for j, column in enumerate(torch.arange(SIDE).tensor_split(columns)):
            player[row[:, None], column] = i * columns + j
    present = ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1)[:, player][:, None]
    masked = torch.where(present == 1, pictures[0], pictures.mean(0)).double()
    at = torch.linspace(0, 1, checkpoints, dtype=torch.float64)
    at = steps**at if spacing == "logarithmic" else 1 + (steps - 1) * at
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    tables: list[Tensor] = []
    for step in range(1, steps + 1):
        batch = torch.randint(len(labels), (BATCH,))
        loss = nn.functional.cross_entropy(network.float()(pictures[batch]), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        # The first logarithmic checkpoints fall on the same step, which is read once for each of them.
        for _ in range(int((at.round() == step).sum())):
            with torch.no_grad():
                logs = network.double()(masked).log_softmax(-1)
            rest = logs.clone()
            rest[:, labels[0]] = -torch.inf
            tables.append(logs[:, labels[0]] - rest.logsumexp(-1))
    return torch.stack(tables)


@contextmanager
def without_newton() -> Iterator[None]:
    watch = newton.watch
    newton.watch = lambda problems: None
    try:
        yield
    finally:
        newton.watch = watch


def cpu_seconds(call: Callable[[], object], repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)


def one_by_one(tables: Tensor, *, warm: bool) -> list[Interactions]:
    found: list[Interactions] = []
    for v in tables:
        found.append(decompose(v, start=found[-1] if warm and found else None))
    return found


def report(name: str, n: int, tables: Tensor, repeats: int) -> None:
    with without_newton():
        before = cpu_seconds(lambda: one_by_one(tables, warm=False), 1)
        reached = decompose(tables).certificate
    found = decompose(tables).certificate
    cold = cpu_seconds(lambda: one_by_one(tables, warm=False), repeats)
    warm = cpu_seconds(lambda: one_by_one(tables, warm=True), repeats)
    batch = cpu_seconds(lambda: decompose(tables), repeats)
    count = len(tables)
    assert reached is not None
    assert found is not None
    cells = [name, n, f"{before / count * 1e3:.1f}", f"{cold / count * 1e3:.1f}"]
    for total in (cold, warm, batch):
        cells.append(f"{total * 1e3:.0f} ({total / before * count:.1f}, {total / cold * count:.0f})")
    median = [int(c.iterations.median()) for c in (reached, found)]
    settled = [int((c.resolution <= 1e-12).sum()) for c in (reached, found)]
    cells += [f"{median[0]}, {median[1]}", f"{settled[0]}, {settled[1]}"]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--players", type=int, nargs="*", default=[8, 9, 10], choices=list(GRIDS))
    parser.add_argument("--checkpoints", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", CertificateWarning)
    decompose(random_tables(3, 1, torch.Generator()))  # compiles, or loads what was compiled
    count, seed = arguments.checkpoints, arguments.seed
    print(
        f"| tables | n | one, before, ms | one, ms | {count} one by one, ms (x one before, x one) | warm "
        "| in one batch "
        "| iterations, before and now | settled, before and now |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for n in arguments.players:
        report("walk", n, walk(n, count, seed), arguments.repeats)
        report("run, linear", n, run(n, count, seed, steps=1000, spacing="linear"), arguments.repeats)
        report(
            "run, logarithmic", n, run(n, count, seed, steps=400, spacing="logarithmic"), arguments.repeats
        )


if __name__ == "__main__":
    main()
