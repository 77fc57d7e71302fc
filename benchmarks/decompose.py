"""Speed and sparsity of the AND-OR solver, as Markdown tables measured in one run on one machine.

    python benchmarks/decompose.py

Published: the interaction papers' public solver, per table as recorded in ../shared/reference (left out if that folder
does not exist), with its noise bound of 0.04 |v(N) - v(0)|. Ours solves a batch of copies of that table with renamed
players, which are equally hard and all different. Growth and joint splits are measured on saturating games with pairs
and noise, which resemble classifiers.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
import warnings

import torch
from measure import reference_tables
from tables import structured_tables
from torch import Tensor

from bequeath.lattice.exact.decompose import CertificateWarning, decompose, decompose_jointly


def renamed(v: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The table and count - 1 renamings of its players, shape (count, 2**n)."""
    n = v.shape[-1].bit_length() - 1
    axes = [list(range(n))] + [torch.randperm(n, generator=generator).tolist() for _ in range(count - 1)]
    return torch.stack([v.reshape([2] * n).permute(order).reshape(-1) for order in axes])


def timed(call: object) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()  # type: ignore[operator]
    return time.perf_counter() - start, result


def against_published(count: int, generator: torch.Generator) -> None:
    print(f"Against the published solver, batches of {count}, gap 1e-3, the same noise bound:\n")
    print(
        "| table | asked | s per table | published, s | ratio | objective, worst | published | LP optimum | worst gap |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (table, known) in reference_tables().items():
        if not name.startswith("cnn") or "published" not in known:
            continue
        theirs = known["published"]
        spent = theirs["seconds"] + theirs["matrix_seconds"]
        batch = renamed(table, count, generator)
        for asked, options in (
            ("gap 1e-3", {}),
            ("gap 1e-3, float32 iterations", {"precision": "float32"}),
            ("settled to 1e-5 too", {"resolution": 1e-5}),
        ):
            elapsed, found = timed(
                lambda batch=batch, options=options: decompose(batch, noise=0.04, **options)
            )
            certificate = found.certificate  # type: ignore[attr-defined]
            print(
                f"| {name} | {asked} | {elapsed / count:.4f} | {spent} | {spent / elapsed * count:,.0f} "
                f"| {certificate.objective.max().item():.4f} | {theirs['objective']} | {known['lp_optimum_q0.04']} "
                f"| {certificate.gap.max().item():.1e} |",
                flush=True,
            )


def against_optimum() -> None:
    print(
        "\nOne table alone, no noise bound, default settings, against the optimum by an LP solver (HiGHS):\n"
    )
    print("| table | objective | LP optimum | ratio | gap | resolution | iterations | s | LP solver, s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (table, known) in reference_tables().items():
        if len(table) > 2**14:
            continue
        elapsed, found = timed(lambda table=table: decompose(table))
        certificate = found.certificate  # type: ignore[attr-defined]
        objective, optimum = certificate.objective.item(), known.get("lp_optimum_q0")
        if optimum is not None:
            optimum -= abs(
                table[0].item()
            )  # theirs counts the empty set's entry, which is no interaction here
        exact = "- | -" if optimum is None else f"{optimum:.4f} | {objective / optimum:.7f}"
        proven = f"{certificate.gap.item():.1e} | {certificate.resolution.item():.0e}"
        spent = f"{certificate.iterations.item()} | {elapsed:.2f} | {known.get('lp_optimum_q0_seconds', '-')}"
        print(f"| {name} | {objective:.4f} | {exact} | {proven} | {spent} |", flush=True)


def growth(players: list[int], count: int, generator: torch.Generator) -> None:
    print(f"\nGrowth, batches of {count} saturating games, no noise bound:\n")
    print(
        "| n | gap 1e-3: s per table | iterations, median | ns per iteration and n 2^n "
        "| settled: s per table | worst resolution |"
    )
    print("|---|---|---|---|---|---|")
    points = []
    for n in players:
        v = structured_tables(n, count, generator)
        quick, found = timed(lambda v=v: decompose(v, resolution=math.inf))
        iterations = found.certificate.iterations  # type: ignore[attr-defined]
        entries = n * 2**n
        points.append((math.log(entries), math.log(quick / count)))
        settled = "- | -"
        if n <= 14:
            spent, unique = timed(lambda v=v: decompose(v))
            settled = f"{spent / count:.3f} | {unique.certificate.resolution.max().item():.0e}"  # type: ignore[attr-defined]
        print(
            f"| {n} | {quick / count:.4f} | {iterations.median().item()} "
            f"| {quick / iterations.sum().item() / entries * 1e9:.3f} | {settled} |",
            flush=True,
        )
    x, y = zip(*points, strict=True)
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in points) / sum((a - mean_x) ** 2 for a in x)
    print(f"\nFit: time per table at gap 1e-3 grows like (n 2^n)^{slope:.2f}.")


def joint(players: list[int], count: int, generator: torch.Generator) -> None:
    print(
        f"\nThree models of {count} samples together, against three separate solves, to the same gap 1e-3:\n"
    )
    print("| n | three separate, s | joint, s | ratio | settled too: separate, s | joint, s | ratio |")
    print("|---|---|---|---|---|---|---|")
    for n in players:
        first, other, last = (structured_tables(n, count, generator) for _ in range(3))
        models = {"pretrained": first, "finetuned": first + 0.5 * other, "scratch": last + 0.5 * other}
        cells = []
        for options in ({"resolution": math.inf}, {}):
            apart, _ = timed(lambda m=models, o=options: [decompose(v, **o) for v in m.values()])
            together, _ = timed(lambda m=models, o=options: decompose_jointly(m, **o))
            cells.append(f"{apart:.3f} | {together:.3f} | {together / apart:.1f}")
        print(f"| {n} | {' | '.join(cells)} |", flush=True)


def peak_memory(n: int) -> None:
    """Of one solve in a fresh process, torch and all."""
    start, found = timed(lambda: decompose(structured_tables(n, 1, torch.Generator()), resolution=math.inf))
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    gap = found.certificate.gap.item()  # type: ignore[attr-defined]
    print(f"n = {n}, one table, gap {gap:.1e}: {start:.1f} s, peak {gib:.2f} GiB of memory, torch and all")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--growth", type=int, nargs="*", default=list(range(8, 17)))
    parser.add_argument("--joint", type=int, nargs="*", default=[8, 10, 12])
    parser.add_argument("--memory", type=int, help="only the peak memory of one table of so many players")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # The result shows tables above their gap, so no warning is needed.
    warnings.simplefilter("ignore", CertificateWarning)
    if arguments.memory:
        peak_memory(arguments.memory)
        return
    generator = torch.Generator().manual_seed(arguments.seed)
    decompose(structured_tables(3, 1, generator), noise=0.1)  # compiles, or loads what was compiled
    print(f"{arguments.threads} thread(s).\n")
    against_published(arguments.batch, generator)
    against_optimum()
    growth(arguments.growth, 4, generator)
    joint(arguments.joint, 8, generator)
    print("\nMemory:\n", flush=True)
    subprocess.run([sys.executable, __file__, "--memory", "16"], check=True)


if __name__ == "__main__":
    main()
