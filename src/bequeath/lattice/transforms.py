"""Linear maps between set functions, over the last axis of (..., 2**n) tensors.

Every map here is, but for the entry of the empty set, a Kronecker power of one 2x2 matrix, so it costs n * 2**n
operations and no 2**n x 2**n matrix is ever formed. S, T denote subsets of the n players. All take float32 or float64
on any device, and `out`, a tensor to write to (the argument itself works in place), as in torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bequeath.lattice.given import numbers
from bequeath.lattice.kronecker import Matrix, kronecker_power
from bequeath.lattice.subsets import orders, players_of

_ZETA: Matrix = ((1, 0), (1, 1))
_MOEBIUS: Matrix = ((1, 0), (-1, 1))
_ZETA_ADJOINT: Matrix = ((1, 1), (0, 1))
_MOEBIUS_ADJOINT: Matrix = ((1, -1), (0, 1))
# The Moebius transform of the table read backwards (S becomes N minus S), and the zeta transform read backwards;
# each is its own adjoint.
_MOEBIUS_OF_REVERSED: Matrix = ((0, 1), (1, -1))
_REVERSED_ZETA: Matrix = ((1, 1), (1, 0))


def _table(given: Any) -> Tensor:
    """Floating point tensors as they are, with their graph; all else as numbers."""
    if isinstance(given, Tensor) and given.is_floating_point() and given.layout == torch.strided:
        return given
    return numbers(given, "v")


def zeta(i: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sum over subsets: v(S) = sum of i(T) over T in S (Harsanyi 1963). Same shape, dtype and device."""
    return kronecker_power(_table(i), _ZETA, out)


def moebius(v: Tensor, *, out: Tensor | None = None) -> Tensor:
    """AND interactions (Harsanyi dividends), the inverse of `zeta`.

    Parameters
    ----------
    v : Tensor
        Values, shape (..., 2**n), floating point, finite. Bit i of the index is player i.
    out : Tensor, optional
        Where to write; ``out=v`` works in place.

    Returns
    -------
    Tensor
        I(T) = sum over L in T of (-1)**(|T| - |L|) v(L); entry 0 is v(0). Same shape, in the units of v.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, or `out` has another shape, dtype or device.
    """
    return kronecker_power(_table(v), _MOEBIUS, out)


def zeta_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `zeta`: the sum over supersets, (..., 2**n) -> (..., 2**n)."""
    return kronecker_power(y, _ZETA_ADJOINT, out)


def moebius_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `moebius`, (..., 2**n) -> (..., 2**n)."""
    return kronecker_power(y, _MOEBIUS_ADJOINT, out)


def _without_empty(x: Tensor) -> Tensor:
    x[..., :1] = 0
    return x


def or_moebius(v: Tensor, *, out: Tensor | None = None) -> Tensor:
    """OR interactions: I(T) = - sum over L in T of (-1)**(|T| - |L|) v(N minus L), for T not empty.

    Shapes as in `moebius`. The empty set is no OR interaction: entry 0 is 0, and the map loses v(0).
    Source: Li & Zhang, arXiv 2304.13312.
    """
    return _without_empty(kronecker_power(_table(v), _MOEBIUS_OF_REVERSED, out).neg_())


def or_zeta(i: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sum over the sets that meet S: v(S) = sum of i(T) over T with T and S not disjoint; v(0) = 0.

    The inverse of `or_moebius` on tables with v(0) = 0. Entry 0 of `i` has no effect.
    """
    # i(0) would count in every set and in their total: it cancels.
    avoided = kronecker_power(_table(i), _REVERSED_ZETA, out)
    total = avoided[..., :1].clone()
    return avoided.neg_().add_(total)


def or_moebius_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `or_moebius`, (..., 2**n) -> (..., 2**n)."""
    # Entry 0 is no interaction. Its row of the matrix power is the last unit vector.
    empty = y[..., :1].clone()
    result = kronecker_power(y, _MOEBIUS_OF_REVERSED, out).neg_()
    result[..., -1:] += empty
    return result


def or_zeta_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `or_zeta`, (..., 2**n) -> (..., 2**n)."""
    total = y.sum(-1, keepdim=True)
    return _without_empty(kronecker_power(y, _REVERSED_ZETA, out).neg_().add_(total))


def or_as_and(or_: Tensor) -> Tensor:
    """AND interactions of the game that OR interactions add up to: (..., 2**n) -> (..., 2**n).

    ``moebius(or_zeta(or_))``, but from one sum, so that what is 0 is exactly 0: a set T is met unless all of its
    players are absent, 1 - product of (1 - x_i), so T adds -(-1)**|L| to each of its subsets L but the empty one.
    """
    sign = 2.0 * (orders(players_of(or_), or_.device) % 2) - 1.0
    sign[0] = 0
    return sign * zeta_adjoint(or_)
