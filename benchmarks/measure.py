"""What the benchmarks share: timing, and the folder of the project's reference tables."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


def seconds(call: Callable[[], object], budget: float = 0.5, least: int = 3) -> float:
    """Median wall time of one call, after one call to warm up, within about `budget` seconds in total."""
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < least or (time.perf_counter() - begin < budget and len(times) < 500):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def reference_tables() -> dict[str, tuple[Tensor, dict[str, Any]]]:
    """Name -> (table, known results) of ../shared/reference; empty if that folder does not exist."""
    path = REFERENCE / "results.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    return {
        file.stem: (torch.from_numpy(np.load(file).astype(np.float64)), known.get(file.stem, {}))
        for file in sorted(REFERENCE.glob("*.npy"))
    }
