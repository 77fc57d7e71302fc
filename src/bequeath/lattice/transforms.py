"""Linear maps between set functions, over the last axis of (..., 2**n) tensors.

Every map here is, up to a reversal of the index, a Kronecker power of one 2x2 matrix, so it costs n * 2**n
operations and no 2**n x 2**n matrix is ever formed. S, T denote subsets of the n players.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bequeath.lattice.subsets import players_of

# Largest block of bits that one dense matrix product handles in `kronecker_power`. On CPUs, blocks of 3 to 6 bits
# are within about a third of each other for n = 8..16, and 1 or 2 bits two to twelve times slower
# (benchmarks/transforms.py).
_BLOCK_BITS = 4


def _fold(v: Tensor, sign: int, *, into_supersets: bool) -> Tensor:
    out = v.clone()
    n = players_of(v)
    for bit in range(n):
        # Every size is spelled out: a -1 cannot be inferred in an empty batch.
        pairs = out.view(*out.shape[:-1], 1 << (n - bit - 1), 2, 1 << bit)
        without, with_bit = pairs[..., 0, :], pairs[..., 1, :]
        if into_supersets:
            with_bit.add_(without, alpha=sign)
        else:
            without.add_(with_bit, alpha=sign)
    return out


def zeta(i: Tensor) -> Tensor:
    """Sum over subsets: v(S) = sum of i(T) over T in S (Harsanyi 1963). Same shape, dtype and device."""
    return _fold(i, 1, into_supersets=True)


def moebius(v: Tensor) -> Tensor:
    """AND interactions (Harsanyi dividends), the inverse of `zeta`.

    Parameters
    ----------
    v : Tensor
        Values, shape (..., 2**n), floating point. Bit i of the index is player i.

    Returns
    -------
    Tensor
        I(T) = sum over L in T of (-1)**(|T| - |L|) v(L); entry 0 is v(0). Same shape, in the units of v.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n.
    """
    return _fold(v, -1, into_supersets=True)


def zeta_adjoint(y: Tensor) -> Tensor:
    """Adjoint of `zeta`: the sum over supersets, (..., 2**n) -> (..., 2**n)."""
    return _fold(y, 1, into_supersets=False)


def moebius_adjoint(y: Tensor) -> Tensor:
    """Adjoint of `moebius`, (..., 2**n) -> (..., 2**n)."""
    return _fold(y, -1, into_supersets=False)


def _without_empty(x: Tensor) -> Tensor:
    x[..., :1] = 0
    return x


def or_moebius(v: Tensor) -> Tensor:
    """OR interactions: I(T) = - sum over L in T of (-1)**(|T| - |L|) v(N minus L), for T not empty.

    Shapes as in `moebius`. The empty set is no OR interaction: entry 0 is 0, and the map loses v(0).
    Source: Li & Zhang, arXiv 2304.13312.
    """
    return _without_empty(moebius(v.flip(-1)).neg_())


def or_zeta(i: Tensor) -> Tensor:
    """Sum over the sets that meet S: v(S) = sum of i(T) over T with T and S not disjoint; v(0) = 0.

    The inverse of `or_moebius` on tables with v(0) = 0. Entry 0 of `i` has no effect.
    """
    within = zeta(_without_empty(i.clone()))
    return within[..., -1:] - within.flip(-1)


def or_moebius_adjoint(y: Tensor) -> Tensor:
    """Adjoint of `or_moebius`, (..., 2**n) -> (..., 2**n)."""
    return moebius_adjoint(_without_empty(y.clone())).flip(-1).neg_()


def or_zeta_adjoint(y: Tensor) -> Tensor:
    """Adjoint of `or_zeta`, (..., 2**n) -> (..., 2**n)."""
    return _without_empty(y.sum(-1, keepdim=True) - zeta_adjoint(y.flip(-1)))


def kronecker_power(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a 2x2 matrix along every bit of the last axis: (matrix (x) ... (x) matrix) x.

    Parameters
    ----------
    x : Tensor
        Shape (..., 2**n).
    matrix : Tensor
        Shape (2, 2), same dtype and device as `x`.

    Returns
    -------
    Tensor
        Same shape as `x`.
    """
    n, shape = players_of(x), x.shape
    done = 0
    while done < n:
        bits = min(_BLOCK_BITS, n - done)
        block = torch.ones(1, 1, dtype=x.dtype, device=x.device)
        for _ in range(bits):
            block = torch.kron(matrix, block)
        if done == 0:
            x = x.reshape(-1, 1 << bits) @ block.T
        else:
            x = block @ x.reshape(-1, 1 << bits, 1 << done)
        done += bits
    return x.reshape(shape)
