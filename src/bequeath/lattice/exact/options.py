"""Options of the solver of exact readings, checked."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

from bequeath.errors import BequeathError
from bequeath.lattice.given import whole

Precision = Literal["float64", "float32"]

# Noise allowance of the interaction papers, as a share of |v(N) - v(0)|.
PAPER_NOISE = 0.04
# Gap of the ridge problem that determines four digits of each entry at n = 2, and more for larger n
# (docs/decomposition.md).
_SETTLED = 1e-12


def solver_options(
    noise: float | None, tol: float, resolution: float | None, max_iterations: int, precision: str
) -> dict[str, Any]:
    """Arguments of `decompose` as arguments of the solver.

    Raises
    ------
    BequeathError
        If one is out of range.
    """
    noise = 0.0 if noise is None else noise
    if not (noise >= 0 and math.isfinite(noise)):  # this form also refuses nan
        raise BequeathError(f"noise: {noise}; give a share of |v(N) - v(0)| of 0 or more")
    if resolution is None:
        resolution = math.inf if noise else _SETTLED
    if not (tol > 0 and resolution > 0):
        raise BequeathError(f"tol, resolution: {tol}, {resolution}; give positive numbers")
    max_iterations = whole(max_iterations, "max_iterations", 1)
    if precision not in ("float64", "float32"):
        raise BequeathError(f'precision: {precision!r}; give "float64" or "float32"')
    return {
        "noise": noise,
        "tol": tol,
        # The first run determines the objective, so it must be finer than `tol`.
        "ridge_tol": min(resolution, tol / 10) if math.isfinite(resolution) else math.inf,
        "max_iterations": max_iterations,
        "precision": getattr(torch, precision),
    }
