"""How fast and how sparse the AND-OR solver is, as a markdown table measured in one run on one machine.

    python benchmarks/decompose.py --players 6 8 10 12

Random tables have no structure at all; structured ones (a saturating score with pairs, and noise) stand for
classifiers. Where the project's reference tables lie in ../shared/reference, objective and seconds are set
beside the published solver's on the same table, as recorded there on a machine of the same kind.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from tables import random_tables, structured_tables

from bequeath.lattice.decompose import CertificateWarning, decompose


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--players", type=int, nargs="+", default=[6, 7, 8, 9, 10, 11, 12])
    parser.add_argument("--tables", type=int, default=4, help="tables of each kind and size")
    parser.add_argument("--resolution", type=float, help="decompose's own default where not given")
    parser.add_argument("--max-iterations", type=int, help="decompose's own default where not given")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--reference",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "reference",
        help="folder of tables with published results; left out where it is not there",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # A table above its gap is a line of the result here, not a warning.
    warnings.simplefilter("ignore", CertificateWarning)
    options = {"resolution": arguments.resolution, "max_iterations": arguments.max_iterations}
    options = {name: value for name, value in options.items() if value is not None}
    generator = torch.Generator().manual_seed(arguments.seed)

    print(
        f"{arguments.tables} tables in one batch, {arguments.threads} thread(s), "
        f"{options or 'default settings'}:\n"
    )
    print("| tables | n | s per table | iterations, median (most) | worst gap | max reconstruction error |")
    print("|---|---|---|---|---|---|")
    for name, make in (("random", random_tables), ("structured", structured_tables)):
        for n in arguments.players:
            v = make(n, arguments.tables, generator)
            start = time.perf_counter()
            found = decompose(v, **options)
            elapsed = (time.perf_counter() - start) / arguments.tables
            certificate = found.certificate
            error = (found.reconstruct() - v).abs().max().item()
            print(
                f"| {name} | {n} | {elapsed:.2f} | {certificate.iterations.median().item()} "
                f"({certificate.iterations.max().item()}) | {certificate.gap.max().item():.1e} "
                f"| {error:.0e} |",
                flush=True,
            )

    if not (arguments.reference / "results.json").exists():
        return
    print(
        "\nOne table alone. The published solver (10,000 steps) may also move every value within its noise bound q,"
        "\nso each stands beside the optimum of its own problem:\n"
    )
    print("| table | ours | ours / LP | published | published / LP with q | ours, s | published, s |")
    print("|---|---|---|---|---|---|---|")
    for name, known in sorted(json.loads((arguments.reference / "results.json").read_text()).items()):
        if "published" not in known or known["n"] not in arguments.players:
            continue
        table = np.load(arguments.reference / f"{name}.npy").astype(np.float64)
        start = time.perf_counter()
        found = decompose(torch.from_numpy(table), **options)
        elapsed = time.perf_counter() - start
        certificate = found.certificate
        objective = certificate.objective.item()
        if "lp_optimum_q0" in known:
            # Theirs counts the empty set's entry, |v(0)|, which is no interaction here.
            ratio = f"{objective / (known['lp_optimum_q0'] - abs(float(table[0]))):.5f}"
        else:
            ratio = f"at most {objective / certificate.lower_bound.item():.5f} (certificate)"
        published = known["published"]["objective"]
        theirs = f"{published / known['lp_optimum_q0.04']:.2f}" if "lp_optimum_q0.04" in known else "-"
        print(
            f"| {name} | {objective:.4f} | {ratio} | {published:.4f} | {theirs} "
            f"| {elapsed:.1f} | {known['published']['seconds']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
