"""From value tables to interactions: AND, OR, or the sparsest mixture of both, with a certificate."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import transforms
from bequeath.lattice.interactions import Certificate, Interactions
from bequeath.lattice.split import sparsest_split
from bequeath.lattice.subsets import check_players, orders, players_of

Kind = Literal["and", "or", "and-or"]

# Entries of one block of tables: keeps an iteration's working set in a core's cache.
_BLOCK_ENTRIES = 2**15


class CertificateWarning(UserWarning):
    """A decomposition stopped before the gap that was asked for; its certificate says how far off it is."""


def check_table(v: Tensor) -> Tensor:
    """A table as float64 of shape (..., 2**n), refused early where it cannot be decomposed."""
    v = torch.as_tensor(v).detach()  # a graph through thousands of iterations only fills the memory
    n = players_of(v)
    check_players(n)
    if v.is_complex():
        raise BequeathError(f"v: real values needed, {v.dtype} given")
    finite = torch.isfinite(v)
    if not finite.all():
        where = tuple(torch.nonzero(~finite)[0].tolist())
        raise BequeathError(f"v: {v[where].item()} at index {where}; every value must be finite")
    v = v.to(torch.float64)
    if v.numel() and not torch.isfinite(v.abs().max() * 2 ** (n + 1)):
        raise BequeathError(f"v: values up to {v.abs().max().item():.3g} overflow when 2**{n} are added up")
    return v


def decompose(
    v: Tensor,
    kind: Kind = "and-or",
    *,
    tol: float = 1e-3,
    resolution: float = 3e-6,
    max_iterations: int = 10_000,
    start: Interactions | None = None,
    players: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Interactions:
    """Interactions that add up to the value tables `v` on all 2**n masks.

    Parameters
    ----------
    v : Tensor
        Value tables, shape (..., 2**n), any real dtype, computed in float64. v(0) is subtracted first and kept as
        `offset`, so the empty set has no interaction.
    kind : {"and-or", "and", "or"}
        ``"and"``: Harsanyi dividends. ``"or"``: OR interactions alone. Both are unique and exact.
        ``"and-or"``: v = u + w with the least L1 norm of the AND interactions of u and the OR interactions of w
        together (arXiv 2410.08455, Sec. 3); of all such optima the one of least squares. AND and OR effects of a
        singleton are one function and are merged under AND.
    tol : float
        ``"and-or"``: relative duality gap (objective - lower bound) / objective asked of the certificate.
    resolution : float
        ``"and-or"``: relative duality gap of the ridge-regularised problem that makes the solution unique. Up to 9
        players it is settled to 1e-9 or better whatever is asked. Beyond, solutions from different starts shared at
        least 99.9% of their strength at the default, as measured on a few tables; not guaranteed
        (docs/decomposition.md). `Certificate.resolution` has what was reached.
    max_iterations : int
        Bound on the iterations of each of the solver's runs (two, or three where Newton steps fail).
    start : Interactions, optional
        A warm start of the same shape, such as the previous checkpoint's solution. It saves time and does not change
        the answer beyond `resolution`.
    players : sequence of str, optional
        Names of the n players, kept with the result.
    progress : callable, optional
        Called with the number of tables just finished.

    Returns
    -------
    Interactions
        With `certificate` (None for the closed forms ``"and"`` and ``"or"``).

    Raises
    ------
    BequeathError
        If `v` is not finite, its last axis has no length 2**n, or an argument is out of range.

    Warns
    -----
    CertificateWarning
        If a table stopped above `tol`.
    """
    if kind not in ("and", "or", "and-or"):
        raise BequeathError(f'kind: "and", "or" or "and-or", not {kind!r}')
    if not (tol > 0 and resolution > 0):  # so written, nan is refused too
        raise BequeathError(f"tol, resolution: positive numbers, not {tol}, {resolution}")
    if max_iterations < 1:
        raise BequeathError(f"max_iterations: at least 1, not {max_iterations}")
    v = check_table(v)
    n = players_of(v)
    if players is not None and len(players) != n:
        raise BequeathError(f"players: {len(players)} names for {n} players")
    names = tuple(players) if players is not None else tuple(str(i) for i in range(n))
    offset = v[..., 0].clone()
    v = v - v[..., :1]
    if kind == "and":
        return Interactions(transforms.moebius(v), torch.zeros_like(v), offset, names, None)
    if kind == "or":
        effects = torch.stack((torch.zeros_like(v), transforms.or_moebius(v)))
        return Interactions(*_merge_singletons(effects, n), offset, names, None)

    tables = v.reshape(-1, v.shape[-1])
    warm = None
    if start is not None:
        if start.and_.shape != v.shape:
            raise BequeathError(
                f"start: shape {tuple(start.and_.shape)} for tables of shape {tuple(v.shape)}"
            )
        if not torch.isfinite(start.values).all():
            raise BequeathError("start: every interaction must be finite")
        warm = torch.stack((start.and_, start.or_), dim=-2).reshape(-1, 2, v.shape[-1])
    rows = max(1, _BLOCK_ENTRIES >> n)
    blocks = []
    for first in range(0, max(1, len(tables)), rows):  # no tables are one empty block
        block = slice(first, first + rows)
        blocks.append(
            sparsest_split(
                tables[block],
                tol=tol,
                # The objective is settled in the first phase, so that one must be finer than `tol`.
                ridge_tol=min(resolution, tol / 10),
                max_iterations=max_iterations,
                start=None if warm is None else warm[block],
            )
        )
        if progress is not None:
            progress(len(tables[block]))
    shape = v.shape[:-1]
    x = torch.cat([block.x for block in blocks]).movedim(1, 0).reshape(2, *v.shape)
    x[..., 0] = 0  # the solver leaves rounding there
    certificate = Certificate(
        objective=torch.cat([block.objective for block in blocks]).reshape(shape),
        lower_bound=torch.cat([block.lower_bound for block in blocks]).reshape(shape),
        resolution=torch.cat([block.resolution for block in blocks]).reshape(shape),
        iterations=torch.cat([block.iterations for block in blocks]).reshape(shape),
    )
    late = int((~(certificate.gap <= tol)).sum())  # so written, a nan is late too
    if late:
        warnings.warn(
            f"{late} of {len(tables)} decompositions stopped above the asked gap {tol:g} "
            f"(worst {certificate.gap.max().item():.2g}); raise max_iterations",
            CertificateWarning,
            stacklevel=2,
        )
    return Interactions(*_merge_singletons(x, n), offset, names, certificate)


def _merge_singletons(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
    single = orders(n, x.device) == 1
    and_, or_ = x[0].clone(), x[1].clone()
    and_[..., single] += or_[..., single]
    or_[..., single] = 0
    return and_, or_
