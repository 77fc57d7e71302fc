"""(matrix (x) ... (x) matrix) x for a 2x2 matrix, without forming it: compiled on CPUs, matrix products elsewhere."""

from __future__ import annotations

import warnings
from functools import lru_cache, partial
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.subsets import players_of
from bequeath.lattice.threads import in_threads

Matrix = tuple[tuple[float, float], tuple[float, float]]

# Without the compiled kernels: bits that one dense matrix product handles. Blocks of 3 to 6 bits are within about a
# third of each other for n = 8..16, and 1 or 2 bits two to twelve times slower (benchmarks/transforms.py).
_BLOCK_BITS = 4
# Tables of up to so many bits are transformed whole; of longer ones, first blocks of so many, or one more.
_WHOLE_BITS = 16
_LOW_BITS = 14
# Higher bits are done in tiles of at most this many (an even number).
_HIGH_BITS = 8


@lru_cache(maxsize=4)
def kernels(module: str) -> ModuleType | None:
    """A module of compiled kernels, or None, with a warning, where numba cannot be had."""
    try:
        return import_module(module)
    except (
        ImportError,
        RuntimeError,
    ) as error:  # numba's own where it finds no folder to keep what it compiled
        warnings.warn(
            f"{module}: {error}. torch does the same work, many times slower; a writable NUMBA_CACHE_DIR may help.",
            stacklevel=4,
        )
        return None


def compiled_for(x: Tensor, module: str) -> ModuleType | None:
    """The compiled kernels of a module where they can work on a tensor; None: use torch."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return None
    return None if x.requires_grad and torch.is_grad_enabled() else kernels(module)


def kronecker_power(x: Tensor, matrix: Matrix, out: Tensor | None = None) -> Tensor:
    """Apply a 2x2 matrix along every bit of the last axis: (matrix (x) ... (x) matrix) x.

    Parameters
    ----------
    x : Tensor
        Shape (..., 2**n), float32 or float64 (other floating types work, more slowly).
    matrix : 2x2 tuple of float
    out : Tensor, optional
        Where to write the result, of the shape, dtype and device of `x`; `x` itself works in place.

    Returns
    -------
    Tensor
        `out`, or a new tensor of the shape, dtype and device of `x`. Values must be finite: a 0 in `matrix` times an
        infinity is nan.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, or `out` does not fit.
    """
    n = players_of(x)
    if out is not None and (out.shape != x.shape or out.dtype != x.dtype or out.device != x.device):
        raise BequeathError(
            f"out: {tuple(out.shape)}, {out.dtype}, {out.device} given; the table has "
            f"{tuple(x.shape)}, {x.dtype}, {x.device}"
        )
    compiled = compiled_for(x, "bequeath.lattice.exact.kernels")
    if compiled is None:
        result = _by_products(x, matrix, n)
        return result if out is None else out.copy_(result)
    source = x.detach().contiguous()
    in_place = out is not None and out.data_ptr() == x.data_ptr()
    direct = out is not None and out.is_contiguous()
    target = out.detach() if direct and out is not None else torch.empty_like(source)
    _compiled(compiled, source, target, matrix, n, in_place=in_place and direct)
    return target if out is None else out if direct else out.copy_(target)


def _compiled(
    compiled: ModuleType, source: Tensor, target: Tensor, matrix: Matrix, n: int, *, in_place: bool
) -> None:
    x, y = source.numpy(), target.numpy()
    entries = [x.dtype.type(entry) for row in matrix for entry in row]
    low = n if n <= _WHOLE_BITS else _LOW_BITS + n % 2
    x, y = x.reshape(-1, 1 << low), y.reshape(-1, 1 << low)
    if in_place:
        in_threads(lambda a, b: compiled.rows_in_place(y, a, b, *entries), len(y), entries=1 << low)
    else:
        in_threads(lambda a, b: compiled.rows(x, y, a, b, *entries), len(y), entries=1 << low)
    done = low
    while done < n:
        bits = n - done if n - done <= _HIGH_BITS else _HIGH_BITS - 2
        z = y.reshape(-1, 1 << bits, 1 << done)
        tile = compiled.TILE << bits
        in_threads(partial(_columns, compiled, z, entries), z.size // tile, entries=tile)
        done += bits


def _columns(compiled: ModuleType, z: Any, entries: list[Any], first: int, last: int) -> None:
    compiled.columns(z, first, last, *entries)


def _by_products(x: Tensor, matrix: Matrix, n: int) -> Tensor:
    """A dense matrix product for each block of bits: few launches on any device."""
    shape, factor = x.shape, x.new_tensor(matrix)
    done = 0
    while done < n:
        bits = min(_BLOCK_BITS, n - done)
        block = torch.ones(1, 1, dtype=x.dtype, device=x.device)
        for _ in range(bits):
            block = torch.kron(factor, block)
        if done == 0:
            x = x.reshape(-1, 1 << bits) @ block.T
        else:
            x = block @ x.reshape(-1, 1 << bits, 1 << done)
        done += bits
    return x.reshape(shape)
