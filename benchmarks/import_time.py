"""How long `import bequeath` takes beside torch's own import.

    python benchmarks/import_time.py [REPEATS]

Each measurement is a separate process, which imports torch first and then uses names of bequeath. Seconds are the
smallest processor time over the repeats, so that other work on the machine has little influence.
"""

from __future__ import annotations

import subprocess
import sys

TOUCHES = (
    "",
    "bq.Game",
    "bq.fit",
    "bq.decompose",
    "bq.compare",
    "bq.Study",
    "bq.baselines, bq.players, bq.values",
)
MEASURE = """
import time
start = time.process_time()
import torch
middle = time.process_time()
import bequeath as bq
{touch}
print(middle - start, time.process_time() - middle)
"""


def measured(touch: str, repeats: int) -> tuple[float, float]:
    """Seconds for torch, and seconds for bequeath with these names beyond that."""
    command = [sys.executable, "-c", MEASURE.format(touch=touch)]
    runs = [
        [float(x) for x in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]
        for _ in range(repeats)
    ]
    return min(torch for torch, _ in runs), min(beyond for _, beyond in runs)


def main() -> None:
    """Print a row for each group of names."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{'names':40} {'torch, s':>9} {'beyond, s':>9} {'ratio':>6}")
    for touch in TOUCHES:
        torch, beyond = measured(touch, repeats)
        print(f"{touch or 'import bequeath':40} {torch:9.2f} {beyond:9.2f} {beyond / torch:6.2f}")


if __name__ == "__main__":
    main()
