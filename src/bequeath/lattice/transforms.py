"""Linear maps between set functions, over the last axis of (..., 2**n) tensors.

Each map is a Kronecker power of one 2x2 matrix, except for the entry of the empty set. It costs n * 2**n operations and
never forms a 2**n x 2**n matrix. S and T are subsets of the n players. All maps take float32 or float64 on any device.
Source: docs/method.md, section "Interactions".
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
# The Moebius and the zeta transform of the reversed table (S becomes N minus S). Each is its own adjoint.
_MOEBIUS_OF_REVERSED: Matrix = ((0, 1), (1, -1))
_REVERSED_ZETA: Matrix = ((1, 1), (1, 0))


def _table(given: Any) -> Tensor:
    """Floating point tensors stay as they are, with their autograd graph; everything else is converted."""
    if isinstance(given, Tensor) and given.is_floating_point() and given.layout == torch.strided:
        return given
    return numbers(given, "v")


def zeta(i: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Zeta transform: v(S) = sum of i(T) over all T inside S (Harsanyi 1963). The inverse of `moebius`.

    Parameters
    ----------
    i : Tensor
        AND interactions, shape (..., 2**n), floating point, finite. Bit i of the index is player i.
    out : Tensor, optional
        Tensor for the result, with the shape, dtype and device of `i`; ``out=i`` works in place.

    Returns
    -------
    Tensor
        Values v, with the shape, dtype, device and units of `i`.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, or `out` has another shape, dtype or device.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.zeta(torch.tensor([0.0, 1.0, 2.0, 0.5])).tolist()
    [0.0, 1.0, 2.0, 3.5]
    """
    return kronecker_power(_table(i), _ZETA, out)


def moebius(v: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Moebius transform: AND interactions (Harsanyi dividends; Harsanyi 1963). The inverse of `zeta`.

    Parameters
    ----------
    v : Tensor
        Values, shape (..., 2**n), floating point, finite. Bit i of the index is player i.
    out : Tensor, optional
        Tensor for the result, with the shape, dtype and device of `v`; ``out=v`` works in place.

    Returns
    -------
    Tensor
        I(T) = sum over L inside T of (-1)**(|T| - |L|) v(L); entry 0 is v(0). With the shape, dtype, device and units
        of `v`.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, or `out` has another shape, dtype or device.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.moebius(torch.tensor([0.0, 1.0, 2.0, 3.5])).tolist()
    [0.0, 1.0, 2.0, 0.5]
    """
    return kronecker_power(_table(v), _MOEBIUS, out)


def zeta_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `zeta`, the sum over supersets: (..., 2**n) -> (..., 2**n)."""
    return kronecker_power(y, _ZETA_ADJOINT, out)


def moebius_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `moebius`: (..., 2**n) -> (..., 2**n)."""
    return kronecker_power(y, _MOEBIUS_ADJOINT, out)


def _without_empty(x: Tensor) -> Tensor:
    x[..., :1] = 0
    return x


def or_moebius(v: Tensor, *, out: Tensor | None = None) -> Tensor:
    """OR interactions of a table (Li & Zhang, arXiv 2304.13312). The inverse of `or_zeta` for v(0) = 0.

    Parameters
    ----------
    v : Tensor
        Values, shape (..., 2**n), floating point, finite. Bit i of the index is player i.
    out : Tensor, optional
        Tensor for the result, with the shape, dtype and device of `v`; ``out=v`` works in place.

    Returns
    -------
    Tensor
        I(T) = - sum over L inside T of (-1)**(|T| - |L|) v(N minus L), for T not empty. Entry 0 is 0, so v(0) is lost.
        With the shape, dtype, device and units of `v`.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, or `out` has another shape, dtype or device.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.or_moebius(torch.tensor([0.0, 2.0, 3.0, 4.0])).tolist()
    [0.0, 1.0, 2.0, 1.0]
    """
    return _without_empty(kronecker_power(_table(v), _MOEBIUS_OF_REVERSED, out).neg_())


def or_zeta(i: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Values of a game of OR interactions: v(S) = sum of i(T) over all T that meet S.

    The inverse of `or_moebius` for v(0) = 0 (Li & Zhang, arXiv 2304.13312).

    Parameters
    ----------
    i : Tensor
        OR interactions, shape (..., 2**n), floating point, finite. Entry 0 has no effect.
    out : Tensor, optional
        Tensor for the result, with the shape, dtype and device of `i`; ``out=i`` works in place.

    Returns
    -------
    Tensor
        Values v with v(0) = 0, with the shape, dtype, device and units of `i`.

    Raises
    ------
    BequeathError
        If the last axis has no length 2**n, or `out` has another shape, dtype or device.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.or_zeta(torch.tensor([0.0, 1.0, 2.0, 1.0])).tolist()
    [0.0, 2.0, 3.0, 4.0]
    """
    # i(0) is part of every sum and of the total, so it cancels.
    disjoint = kronecker_power(_table(i), _REVERSED_ZETA, out)
    total = disjoint[..., :1].clone()
    return disjoint.neg_().add_(total)


def or_moebius_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `or_moebius`: (..., 2**n) -> (..., 2**n)."""
    # Entry 0 is no interaction. Its row of the matrix power is the last unit vector.
    empty = y[..., :1].clone()
    result = kronecker_power(y, _MOEBIUS_OF_REVERSED, out).neg_()
    result[..., -1:] += empty
    return result


def or_zeta_adjoint(y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Adjoint of `or_zeta`: (..., 2**n) -> (..., 2**n)."""
    total = y.sum(-1, keepdim=True)
    return _without_empty(kronecker_power(y, _REVERSED_ZETA, out).neg_().add_(total))


def or_as_and(or_: Tensor) -> Tensor:
    """AND interactions of the game with the given OR interactions: (..., 2**n) -> (..., 2**n).

    The same as ``moebius(or_zeta(or_))``, but from one sum, so that zeros are exact. The OR interaction of T is 1 minus
    the product of (1 - x_i) over T; expanded, it adds -(-1)**|L| to each subset L of T except the empty one.
    """
    sign = 2.0 * (orders(players_of(or_), or_.device) % 2) - 1.0
    sign[0] = 0
    return sign * zeta_adjoint(or_)
