"""Compiles inner loops.

numba caches machine code in a folder that it can write to: NUMBA_CACHE_DIR, the folder of the source, or the user's
cache. If it can write to none of them, each process compiles again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

Compile = Callable[[Callable[..., Any]], Any]


def _compiler(*relaxed: str) -> Compile:
    """A decorator that compiles a function with the given relaxations of IEEE arithmetic."""

    def compile(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"nogil": True, "fastmath": set(relaxed), "error_model": "numpy"}
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for the cache
            return njit(**options)(function)

    return compile


compiled = _compiler("contract")
"""A product and a sum may be fused. Each sum keeps its order."""
summing = _compiler("contract", "reassoc")
"""Sums may be reordered for vector units. On one machine the order is the same for all batches and threads."""
