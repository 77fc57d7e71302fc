"""Speed of the transforms: ratios measured in one run on one machine, as Markdown tables.

    python benchmarks/transforms.py

The Moebius transform is compared with copies of the same array, which any transform needs at least: `clone` and `copy_`
of an array in the cache, and `copy_` with an empty cache. If shapiq is installed, its ExactComputer transforms the same
table with a value function that is only a look-up.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from measure import seconds
from torch import Tensor

from bequeath.lattice import transforms


def shapiq_seconds(v: np.ndarray, n: int) -> float | None:
    """One exact Moebius transform of a given table by shapiq."""
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


def cold(call: object, other: Tensor) -> float:
    """Median wall time of a call after a pass over an array larger than any cache."""
    times = []
    for _ in range(15):
        other.add_(1)
        start = time.perf_counter()
        call()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["12x256", "14x1", "16x1", "18x1", "20x1", "22x1"])
    parser.add_argument(
        "--shapiq", type=int, nargs="*", default=[12, 14, 16], help="players; 16 take a minute"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = torch.Generator().manual_seed(0)
    other = torch.zeros(2**25)

    print(f"Moebius against copies, {arguments.threads} thread(s), float64 and float32:\n")
    print(
        "| n | tables | dtype | us per table | in cache: x clone | x copy_ | not in cache: x copy_ | in place, us |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for size in arguments.sizes:
        n, count = (int(part) for part in size.split("x"))
        for dtype in (torch.float64, torch.float32):
            v = torch.randn(count, 2**n, generator=generator, dtype=dtype)
            out = torch.empty_like(v)
            new = seconds(lambda v=v: transforms.moebius(v))
            into = seconds(lambda v=v, out=out: transforms.moebius(v, out=out))
            clone = seconds(lambda v=v: v.clone())
            copy = seconds(lambda v=v, out=out: out.copy_(v))
            emptied = cold(lambda v=v, out=out: transforms.moebius(v, out=out), other)
            emptied /= cold(lambda v=v, out=out: out.copy_(v), other)
            v.zero_()  # in place, values would double with every call
            inside = seconds(lambda v=v: transforms.moebius(v, out=v))
            print(
                f"| {n} | {count} | {str(dtype)[6:]} | {new / count * 1e6:.1f} | {new / clone:.1f} | {into / copy:.1f} "
                f"| {emptied:.1f} | {inside / count * 1e6:.1f} |",
                flush=True,
            )

    print("\nOne table, all Moebius coefficients, against shapiq:\n")
    print("| n | ours, us | shapiq, s | ratio |")
    print("|---|---|---|---|")
    for n in arguments.shapiq:
        v = torch.randn(2**n, generator=generator, dtype=torch.float64)
        ours, theirs = seconds(lambda v=v: transforms.moebius(v)), shapiq_seconds(v.numpy(), n)
        if theirs is not None:
            print(f"| {n} | {ours * 1e6:.1f} | {theirs:.2f} | {theirs / ours:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
