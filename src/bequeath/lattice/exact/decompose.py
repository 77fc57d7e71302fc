"""From value tables to interactions: AND, OR, or the sparsest mixture of both, with a certificate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Literal, get_args

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import transforms
from bequeath.lattice.checks import check_table
from bequeath.lattice.exact.split import Split, sparsest_split
from bequeath.lattice.given import whole
from bequeath.lattice.interactions import Certificate, Interactions
from bequeath.lattice.memory import check_fits
from bequeath.lattice.subsets import orders, player_names, players_of
from bequeath.lattice.threads import in_parts

Kind = Literal["and", "or", "and-or", "paper"]
Precision = Literal["float64", "float32"]

# Entries of one block of tables at most: on CPUs its arrays (some 40 numbers an entry) should stay near the cache, and
# elsewhere few launches count.
_BLOCK_ENTRIES, _DEVICE_BLOCK_ENTRIES = 2**18, 2**24
_NUMBERS_PER_ENTRY = 40
# Noise allowance in the interaction papers' code, as a share of |v(N) - v(0)|.
PAPER_NOISE = 0.04
# Gap of the ridge problem that settles four digits of every entry at n = 2, and more beyond (docs/decomposition.md).
_SETTLED = 1e-12


class CertificateWarning(UserWarning):
    """A decomposition stopped before the gap that was asked for; its certificate says how far off it is."""


def decompose(
    v: Tensor,
    kind: Kind = "and-or",
    *,
    noise: float | None = None,
    tol: float = 1e-3,
    resolution: float | None = None,
    max_iterations: int = 100_000,
    precision: Precision = "float64",
    start: Interactions | None = None,
    players: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Interactions:
    """Interactions that add up to the value tables `v` on all 2**n masks.

    Parameters
    ----------
    v : Tensor
        Value tables, shape (..., 2**n), any real dtype and device. v(0) is subtracted first and kept as `offset`, so
        the empty set has no interaction.
    kind : {"and-or", "and", "or", "paper"}
        ``"and"``: Harsanyi dividends. ``"or"``: OR interactions alone. Both are unique and exact.
        ``"and-or"``: v = u + w with the least L1 norm of the AND interactions of u and the OR interactions of w
        together (arXiv 2410.08455, Sec. 3); of all such optima the one of least squares. AND and OR effects of a
        singleton are one function and are merged under AND. ``"paper"``: the same with the noise allowance of the
        interaction papers (METHOD 3).
    noise : float, optional
        ``"and-or"``, ``"paper"``: every value but v(0) may be changed by up to ``noise * |v(N) - v(0)|`` where that
        makes the interactions sparser. The interactions then add up to the changed values. By default 0, and 0.04 for
        ``"paper"``.
    tol : float
        ``"and-or"``, ``"paper"``: relative duality gap (objective - lower bound) / objective asked of the certificate.
    resolution : float, optional
        ``"and-or"``, ``"paper"``: relative duality gap of the ridge-regularised problem that makes the solution unique:
        where the default, 1e-12, was reached, answers from different starts, batches, threads and precisions shared
        99.99% of their strength and more. From 12 players on `max_iterations` often comes first;
        `Certificate.resolution` has what was reached (measured: docs/decomposition.md). ``math.inf`` asks for the gap
        alone, which is faster; which of the optima it finds then depends on the start. With noise that is the default,
        as there the rest is slow; 1e-5 is a resolution to ask for where models are compared.
    max_iterations : int
        Bound on the iterations of each of the solver's runs (two, or three in float32). Newton's method, which ends
        the first where it can, may take as many again; all are counted in the certificate.
    precision : {"float64", "float32"}
        Of the iterations. float32 ones are faster and go on in float64 where that is needed; the solution and its
        certificate are float64 in any case.
    start : Interactions, optional
        A warm start of the same shape. It does not change the answer beyond `resolution`, and saves no time that could
        be measured even from the previous checkpoint of a run: too many entries differ. What saves time is to hand
        over the tables of all checkpoints together, as one batch (docs/decomposition.md).
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
        If `v` is not finite, its last axis has no length 2**n, an argument is out of range, or the work would not
        fit in memory.

    Warns
    -----
    CertificateWarning
        If a table stopped above `tol`.
    """
    if kind not in get_args(Kind):
        raise BequeathError(f'kind: "and", "or", "and-or" or "paper", not {kind!r}')
    if noise is None and kind == "paper":
        noise = PAPER_NOISE
    options = _options(noise, tol, resolution, max_iterations, precision)
    v = check_table(v)
    n = players_of(v)
    names = player_names(players, n)
    offset = v[..., 0].clone()
    v = v - v[..., :1]
    if kind == "and":
        return Interactions(transforms.moebius(v), torch.zeros_like(v), offset, names, None)
    if kind == "or":
        effects = torch.stack((torch.zeros_like(v), transforms.or_moebius(v)), dim=-2)
        return Interactions(*_merge_singletons(effects, n), offset, names, None)
    warm = None if start is None else _warm(start, v, "start").reshape(-1, 1, 2, 2**n)
    x, certificate = _solve(
        v.reshape(-1, 1, 2**n), v.shape[:-1], warm, coupling=0.0, progress=progress, **options
    )
    return Interactions(*_merge_singletons(x.reshape(*v.shape[:-1], 2, 2**n), n), offset, names, certificate)


def decompose_jointly(
    tables: Mapping[str, Tensor],
    *,
    coupling: float = 1.0,
    noise: float | None = None,
    tol: float = 1e-3,
    resolution: float | None = None,
    max_iterations: int = 100_000,
    precision: Precision = "float64",
    start: Mapping[str, Interactions] | None = None,
    players: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Interactions]:
    """Sparse AND-OR interactions of several models on the same samples, chosen together.

    Minimises the sum over models of the L1 norms of their interactions plus `coupling` times the sum over pairs of
    models of |I_a - I_b|_1, so that nothing is called exclusive to one model that could as well be shared.

    Parameters
    ----------
    tables : mapping of str to Tensor
        Value tables of each model, all of one shape (..., 2**n), on the same players and samples in the same order.
    coupling : float
        0 decomposes every model by itself.
    noise, tol, resolution, max_iterations, precision, players, progress
        As in `decompose`.
    start : mapping of str to Interactions, optional
        Warm starts, one for each model.

    Returns
    -------
    dict of str to Interactions
        One for each model. They share one `certificate`: objective and lower bound are those of the joint problem.

    Raises
    ------
    BequeathError
        As `decompose`; or if the tables' shapes or devices differ.

    Warns
    -----
    CertificateWarning
        If a sample stopped above `tol`.
    """
    options = _options(noise, tol, resolution, max_iterations, precision)
    if not (coupling >= 0 and math.isfinite(coupling)):
        raise BequeathError(f"coupling: a number of 0 or more, not {coupling}")
    if not tables:
        raise BequeathError("tables: none given; name at least one model's")
    checked = {
        name: check_table(v, f"tables[{name!r}]", work="joint interactions", models=len(tables))
        for name, v in tables.items()
    }
    first = next(iter(checked))
    for name, v in checked.items():
        if v.shape != checked[first].shape or v.device != checked[first].device:
            raise BequeathError(
                f"tables: {name!r} has shape {tuple(v.shape)} on {v.device}, {first!r} "
                f"{tuple(checked[first].shape)} on {checked[first].device}; models must be read on the same samples"
            )
    both = torch.stack(list(checked.values()), dim=-2)
    n, shape = players_of(both), both.shape[:-2]
    names = player_names(players, n)
    offset = both[..., 0].clone()
    both = both - both[..., :1]
    warm = None
    if start is not None:
        if set(start) != set(tables):
            raise BequeathError(f"start: models {sorted(start)} for tables of {sorted(tables)}")
        warm = torch.stack([_warm(start[m], v, f"start[{m!r}]") for m, v in checked.items()], dim=-3)
        warm = warm.reshape(-1, len(checked), 2, 2**n)
    x, certificate = _solve(
        both.reshape(-1, len(checked), 2**n), shape, warm, coupling=coupling, progress=progress, **options
    )
    x = x.reshape(*shape, len(checked), 2, 2**n)
    return {
        name: Interactions(*_merge_singletons(x[..., i, :, :], n), offset[..., i], names, certificate)
        for i, name in enumerate(checked)
    }


def _options(
    noise: float | None, tol: float, resolution: float | None, max_iterations: int, precision: str
) -> dict:  # type: ignore[type-arg]
    """The solver's options, checked."""
    noise = 0.0 if noise is None else noise
    if not (noise >= 0 and math.isfinite(noise)):  # so written, nan is refused too
        raise BequeathError(f"noise: a share of |v(N) - v(0)| of 0 or more, not {noise}")
    if resolution is None:
        resolution = math.inf if noise else _SETTLED
    if not (tol > 0 and resolution > 0):
        raise BequeathError(f"tol, resolution: positive numbers, not {tol}, {resolution}")
    max_iterations = whole(max_iterations, "max_iterations", 1)
    if precision not in ("float64", "float32"):
        raise BequeathError(f'precision: "float64" or "float32", not {precision!r}')
    return {
        "noise": noise,
        "tol": tol,
        # The objective is settled in the first run, so that one must be finer than `tol`.
        "ridge_tol": min(resolution, tol / 10) if math.isfinite(resolution) else math.inf,
        "max_iterations": max_iterations,
        "precision": getattr(torch, precision),
    }


def _warm(start: Interactions, v: Tensor, name: str) -> Tensor:
    """A start's values, shape (..., 2, 2**n), refused where they do not fit."""
    if start.and_.shape != v.shape:
        raise BequeathError(f"{name}: shape {tuple(start.and_.shape)} for tables of shape {tuple(v.shape)}")
    if not torch.isfinite(start.values).all():
        raise BequeathError(f"{name}: every interaction must be finite")
    return start.values.to(v)


def _solve(
    v: Tensor,
    shape: torch.Size,
    warm: Tensor | None,
    *,
    noise: float,
    coupling: float,
    tol: float,
    progress: Callable[[int], None] | None,
    **options: object,
) -> tuple[Tensor, Certificate]:
    """Splits of v, shape (problems, models, 2**n), block by block; certificates in the shape of the problems."""
    entries = v[0].numel() if len(v) else 1
    threads, most = (
        (torch.get_num_threads(), _BLOCK_ENTRIES) if v.device.type == "cpu" else (1, _DEVICE_BLOCK_ENTRIES)
    )
    # Two for each thread: some tables take longer than others.
    share = -(-len(v) // (2 * threads)) if threads > 1 else len(v)
    rows = max(1, min(most // entries, share))
    check_fits(
        min(threads * rows, len(v)) * entries * 8 * _NUMBERS_PER_ENTRY,
        v.device,
        f"splitting tables of {players_of(v)} players",
    )
    bound = noise * v[..., -1].abs() if noise else None

    def split(block: slice) -> Split:
        return sparsest_split(
            v[block],
            noise=None if bound is None else bound[block],
            coupling=coupling,
            tol=tol,
            start=None if warm is None else warm[block],
            **options,  # type: ignore[arg-type]
        )

    firsts = range(0, max(1, len(v)), rows)  # no tables are one empty block
    blocks: list[Split] = []
    for block in in_parts(split, [slice(first, first + rows) for first in firsts]):
        blocks.append(block)
        if progress is not None:
            progress(len(block.x) * v.shape[1])
    x = torch.cat([block.x for block in blocks])
    x[..., 0] = 0  # the solver leaves rounding there
    proven = {f.name: torch.cat([getattr(block, f.name) for block in blocks]) for f in fields(Certificate)}
    certificate = Certificate(**{name: values.reshape(shape) for name, values in proven.items()})
    late = int((~(certificate.gap <= tol)).sum())  # so written, a nan is late too
    if late:
        warnings.warn(
            f"{late} of {len(v)} decompositions stopped above the asked gap {tol:g} "
            f"(worst {certificate.gap.max().item():.2g}); raise max_iterations",
            CertificateWarning,
            stacklevel=3,
        )
    return x, certificate


def _merge_singletons(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
    single = orders(n, x.device) == 1
    and_, or_ = x[..., 0, :].clone(), x[..., 1, :].clone()
    and_[..., single] += or_[..., single]
    or_[..., single] = 0
    return and_, or_
