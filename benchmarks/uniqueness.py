"""How much the AND-OR solver's solution depends on its start, as a Markdown table measured in one run.

    python benchmarks/uniqueness.py

Every table is decomposed from six starts (even split, zero, Harsanyi, OR alone, the solution of a table nearby, and
random numbers as large as the largest interaction), in one batch and alone, with one thread and two, in float64 and
from float32 iterations. Two solutions share the sum of min(|a|, |b|) over equal signs, divided by the sum of |a|. The
table reports the strength that the worst pair does not share. Tables are random ones, saturating games with pairs and
noise, and tables of small integers, which have many ties. If ../shared/reference exists, the project's reference tables
are added, with only three of the starts for more than 12 players. The last two columns: the part of its strength that a
table does not share with itself after noise of 1e-4 of its deviation was added to every value, and the smallest L1 norm
of that noise alone, relative to the table's.
"""

from __future__ import annotations

import argparse
import math
import warnings

import torch
from measure import reference_tables
from tables import integer_tables, random_tables, structured_tables
from torch import Tensor

from bequeath.lattice import transforms
from bequeath.lattice.exact.decompose import CertificateWarning, decompose
from bequeath.lattice.interactions import Interactions


def starts_of(v: Tensor, options: dict[str, float], generator: torch.Generator) -> Tensor:
    """(tables, 6, 2, 2**n) from grounded tables (tables, 2**n)."""
    ands, ors = transforms.moebius(v), transforms.or_moebius(v)
    none = torch.zeros_like(v)
    noise = torch.randn(v.shape, generator=generator, dtype=v.dtype)
    nearby = decompose(v + 0.1 * v.std(-1, keepdim=True) * noise, **options).values
    largest = torch.maximum(ands.abs().amax(-1), ors.abs().amax(-1))
    wild = torch.randn(len(v), 2, v.shape[-1], generator=generator, dtype=v.dtype) * largest[:, None, None]
    pairs = [(ands / 2, ors / 2), (none, none), (ands, none), (none, ors)]
    return torch.stack([*(torch.stack(pair, dim=1) for pair in pairs), nearby, wild], dim=1)


def not_shared(answers: Tensor) -> float:
    """Of answers (starts, 2, 2**n): the part of its strength that the worst ordered pair does not share."""
    worst = 0.0
    for a in answers:
        total = a.abs().sum()
        for b in answers:
            both = torch.minimum(a.abs(), b.abs()) * (a * b > 0)
            # Differences are added up, not 1 - a sum near 1, so that values below 1e-9 mean something.
            worst = max(worst, ((a.abs() - both).sum() / total).item() if total > 0 else 0.0)
    return worst


def report(name: str, n: int, v: Tensor, options: dict[str, float], generator: torch.Generator) -> None:
    v = v - v[:, :1]
    starts = starts_of(v, options, generator)
    if n > 12:
        starts = starts[:, [0, 2, 5]]
    count = starts.shape[1]
    warm = Interactions(
        starts[:, :, 0], starts[:, :, 1], v.new_zeros(starts.shape[:2]), tuple(str(i) for i in range(n))
    )
    spread = v[:, None].expand(-1, count, -1)
    found = decompose(spread, start=warm, **options)
    answers = [found.values]
    if n <= 12:
        torch.set_num_threads(1)
        answers.append(torch.stack([decompose(table, **options).values for table in v])[:, None])
        answers.append(decompose(spread, start=warm, precision="float32", **options).values)
        torch.set_num_threads(2)
    each = torch.cat(answers, dim=1)
    losses = [not_shared(row) for row in each]
    noise = torch.randn(v.shape, generator=generator, dtype=v.dtype)
    noise = 1e-4 * v.std(-1, keepdim=True) * noise
    shifted = decompose(v + noise, **options).values
    own = decompose(noise, resolution=math.inf).certificate.objective / found.certificate.objective[:, 0]
    moved = max(not_shared(torch.stack((a, b))) for a, b in zip(found.values[:, 0], shifted, strict=True))
    certificate = found.certificate
    print(
        f"| {name} | {n} | {len(v)} | {max(losses):.0e} | {certificate.resolution.max().item():.0e} "
        f"| {certificate.gap.max().item():.0e} "
        f"| {certificate.iterations.median().item()} ({certificate.iterations.max().item()}) "
        f"| {moved:.0e} | {own.max().item():.0e} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--players", type=int, nargs="*", default=[2, 3, 4, 5, 6, 7, 8, 9, 10, 12])
    parser.add_argument("--tables", type=int, default=4, help="tables of each kind and size")
    parser.add_argument("--resolution", type=float, help="decompose's own default where not given")
    parser.add_argument("--max-iterations", type=int, help="decompose's own default where not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=14, help="players of the largest reference table to take")
    arguments = parser.parse_args()
    # The result shows tables above their gap, so no warning is needed.
    warnings.simplefilter("ignore", CertificateWarning)
    options = {"resolution": arguments.resolution, "max_iterations": arguments.max_iterations}
    options = {name: value for name, value in options.items() if value is not None}
    generator = torch.Generator().manual_seed(arguments.seed)

    print(
        "| table | n | tables | worst pair does not share | worst resolution | worst gap | iterations "
        "| moved by noise | noise's own strength |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    kinds = (("random", random_tables), ("structured", structured_tables), ("integers", integer_tables))
    for name, make in kinds:
        for n in arguments.players:
            report(name, n, make(n, arguments.tables, generator), options, generator)
    for name, (table, _) in reference_tables().items():
        n = len(table).bit_length() - 1
        if n <= arguments.most:
            report(name, n, table[None], options, generator)


if __name__ == "__main__":
    main()
