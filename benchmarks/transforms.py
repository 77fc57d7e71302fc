"""How fast the transforms are: ratios measured in one run on one machine, as a markdown table.

    python benchmarks/transforms.py --players 6 8 10 12 14 16

The Moebius transform is set beside a plain copy of the same array (the least that any transform can cost)
and, where shapiq is installed, beside its ExactComputer on the same table; `kronecker_power` is timed at each
block size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from bequeath.lattice import transforms


def seconds(call: Callable[[], object], budget: float = 0.3, least: int = 3) -> float:
    """Median wall time of one call, after one call to warm up; at most about `budget` seconds in all."""
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < least or (time.perf_counter() - begin < budget and len(times) < 200):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def shapiq_seconds(v: np.ndarray, n: int) -> float | None:
    """shapiq's exact Moebius transform of a table that is already there (its game is a look-up), once."""
    try:
        import shapiq
    except ImportError:
        return None
    weights = 1 << np.arange(n)

    def game(coalitions: np.ndarray) -> np.ndarray:
        return v[np.asarray(coalitions) @ weights]

    start = time.perf_counter()
    shapiq.ExactComputer(game, n_players=n)("Moebius", order=n)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--players", type=int, nargs="+", default=[6, 8, 10, 12, 14, 16])
    parser.add_argument("--entries", type=int, default=2**18, help="values in one batch of tables")
    parser.add_argument("--shapiq-limit", type=int, default=10, help="most players to give to shapiq")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = torch.Generator().manual_seed(0)

    print(f"Moebius, batches of {arguments.entries} values, {arguments.threads} thread(s):\n")
    print("| n | us per table | x a copy | shapiq / ours (one table) |")
    print("|---|---|---|---|")
    for n in arguments.players:
        tables = max(1, arguments.entries >> n)
        v = torch.randn(tables, 2**n, generator=generator, dtype=torch.float64)
        ours, copy = seconds(lambda v=v: transforms.moebius(v)), seconds(lambda v=v: v.clone())
        theirs = shapiq_seconds(v[0].numpy(), n) if n <= arguments.shapiq_limit else None
        single = seconds(lambda v=v: transforms.moebius(v[0]))
        ratio = "-" if theirs is None else f"{theirs / single:,.0f}"
        print(f"| {n} | {ours / tables * 1e6:.1f} | {ours / copy:.1f} | {ratio} |")

    default, sizes = transforms._BLOCK_BITS, range(1, 7)
    matrix = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    print(
        f"\nkronecker_power, time relative to blocks of {default} bits (the one in use), below 1 is faster:\n"
    )
    print("| n | us per table | " + " | ".join(f"{bits} bit{'s' * (bits > 1)}" for bits in sizes) + " |")
    print("|---|---|" + "---|" * len(sizes))
    for n in arguments.players:
        tables = max(1, 2**15 >> n)  # the solver's own blocks
        x = torch.randn(tables, 2**n, generator=generator, dtype=torch.float64)
        measured = {}
        try:
            for bits in sizes:
                transforms._BLOCK_BITS = bits
                measured[bits] = seconds(lambda x=x: transforms.kronecker_power(x, matrix))
        finally:
            transforms._BLOCK_BITS = default
        ratios = " | ".join(f"{measured[bits] / measured[default]:.2f}" for bits in sizes)
        print(f"| {n} | {measured[default] / tables * 1e6:.1f} | {ratios} |")


if __name__ == "__main__":
    main()
