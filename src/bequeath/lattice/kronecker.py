"""The Kronecker power of a 2x2 matrix times a vector, without forming the power.

Compiled kernels do it on CPUs, products with small dense matrices elsewhere.
"""

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

# Bits in one dense matrix product, if there are no compiled kernels. For n = 8..16, blocks of 3 to 6 bits differ by up
# to a third in time; 1 or 2 bits are two to twelve times slower (benchmarks/transforms.py).
_BLOCK_BITS = 4
# Tables of up to this many bits are transformed as a whole. Longer tables start with blocks of _LOW_BITS, or one more.
_WHOLE_BITS = 16
_LOW_BITS = 14
# Higher bits follow in tiles of at most this many bits (an even number).
_HIGH_BITS = 8


@lru_cache(maxsize=4)
def kernels(module: str) -> ModuleType | None:
    """A module of compiled kernels; None, with a warning, if numba cannot be used."""
    try:
        return import_module(module)
    except (
        ImportError,
        RuntimeError,
    ) as error:  # RuntimeError: numba found no folder for its cache
        warnings.warn(
            f"{module}: {error}. torch does the same work, many times slower; a writable NUMBA_CACHE_DIR may help.",
            stacklevel=4,
        )
        return None


def compiled_for(x: Tensor, module: str) -> ModuleType | None:
    """The compiled kernels of a module, if they can work on this tensor; None: use torch."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return None
    return None if x.requires_grad and torch.is_grad_enabled() else kernels(module)


def kronecker_power(x: Tensor, matrix: Matrix, out: Tensor | None = None) -> Tensor:
    """Apply a 2x2 matrix along every bit of the last axis: (matrix (x) ... (x) matrix) x.

    Parameters
    ----------
    x : Tensor
        Shape (..., 2**n), float32 or float64 (other floating types are slower). Values must be finite, because a 0 in
        `matrix` times infinity is NaN.
    matrix : 2x2 tuple of float
        Its rows.
    out : Tensor, optional
        Tensor for the result, with the shape, dtype and device of `x`; `x` itself works in place.

    Returns
    -------
    Tensor
        `out`, or a new tensor with the shape, dtype and device of `x`.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, or `out` has another shape, dtype or device.
    """
    n = players_of(x)
    if out is not None and (out.shape != x.shape or out.dtype != x.dtype or out.device != x.device):
        raise BequeathError(
            f"out: {tuple(out.shape)}, {out.dtype}, {out.device} given; give a tensor like the table: "
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
    """One dense matrix product for each block of bits, so that a GPU launches few kernels."""
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
