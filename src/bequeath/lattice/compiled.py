"""How inner loops are compiled.

Machine code is kept where numba can write: NUMBA_CACHE_DIR, beside the source, or the user's cache. Where it can write
nowhere, as an unprivileged user without a home folder, each process compiles anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

Compile = Callable[[Callable[..., Any]], Any]


def _compiler(*relaxed: str) -> Compile:
    """A decorator that compiles, with these of the compiler's relaxations of IEEE arithmetic."""

    def compile(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"nogil": True, "fastmath": set(relaxed), "error_model": "numpy"}
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for the cache
            return njit(**options)(function)

    return compile


compiled = _compiler("contract")
"""Products and sums may be fused; every sum keeps its order."""
summing = _compiler("contract", "reassoc")
"""Sums may be taken in the order that vector units want: one order on one machine, whatever the batch and threads."""
