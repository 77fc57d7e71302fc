"""Time of the bounds on a preserved share, compared with decomposing the two tables, and the width of the bounds.

    python benchmarks/bounds.py

Pairs: checkpoints of a small convolutional network that learns digits (benchmarks/series.py), each with the last
checkpoint of its run, or with the checkpoint of another run, from another start, at the same step.
"To the end": the problem of every entry is solved until its gap is closed, starting from the models' own splits only.
CPU time of one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from series import GRIDS, cpu_seconds, run
from torch import Tensor

from bequeath.knowledge import bounds
from bequeath.lattice.exact.decompose import decompose


@contextmanager
def to_the_end() -> Iterator[None]:
    solver = bounds.sparsest_split

    def plain(v: Tensor, **options: Any) -> object:
        return solver(v, **options | {"start_dual": None, "enough": None})

    bounds.sparsest_split = plain  # type: ignore[assignment]
    try:
        yield
    finally:
        bounds.sparsest_split = solver


def report(name: str, n: int, first: Tensor, second: Tensor) -> None:
    bounds.preserved_bounds(first[:1], second[:1])  # compiles, or loads what was compiled
    count, tables = len(first), torch.cat((first, second))
    both = cpu_seconds(lambda: [decompose(v) for v in tables], 1)
    times = [cpu_seconds(lambda: bounds.preserved_bounds(first, second), 1)]
    with to_the_end():
        times.append(cpu_seconds(lambda: bounds.preserved_bounds(first, second), 1))
    result = bounds.preserved_bounds(first, second)
    columns = (result.least, result.least_found, result.share, result.greatest_found, result.greatest)
    cells = [name, str(n), f"{both / count * 1e3:.0f}"]
    cells += [f"{t / count * 1e3:.0f} ({t / both:.0f})" for t in times]
    cells += [f"{column.mean().item():.2f}" for column in columns]
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--players", type=int, nargs="*", default=list(GRIDS), choices=list(GRIDS))
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| pairs | n | the two decompositions, ms | bounds, ms (x decompositions) | to the end "
        "| least | found | share | found | greatest |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n in arguments.players:
        tables, others = (
            run(n, arguments.pairs + 1, seed, steps=1000, spacing="linear")
            for seed in (arguments.seed, arguments.seed + 1)
        )
        report("one run", n, tables[:-1], tables[-1:].expand(arguments.pairs, -1))
        report("two runs", n, tables[1:], others[1:])


if __name__ == "__main__":
    main()
