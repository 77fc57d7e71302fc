"""Exact readings of value tables: AND, OR, or the sparsest mixture of both, with a certificate."""

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
from bequeath.lattice.exact.options import PAPER_NOISE, Precision, solver_options
from bequeath.lattice.exact.split import Split, sparsest_split
from bequeath.lattice.interactions import Certificate, Interactions
from bequeath.lattice.memory import check_fits
from bequeath.lattice.subsets import orders, player_names, players_of
from bequeath.lattice.threads import in_parts

Kind = Literal["and", "or", "and-or", "paper"]

# Most entries of one block of tables. On CPUs its arrays (about 40 numbers for each entry) should stay near the cache;
# on GPUs larger blocks need fewer kernel launches.
_BLOCK_ENTRIES, _DEVICE_BLOCK_ENTRIES = 2**18, 2**24
_NUMBERS_PER_ENTRY = 40


class CertificateWarning(UserWarning):
    """A decomposition stopped before it reached the requested gap; its certificate has the gap that it reached."""


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
    """Interactions that add up to value tables on all 2**n masks (docs/method.md, section "Exact readings").

    Parameters
    ----------
    v : Tensor
        Value tables, shape (..., 2**n), any real dtype and device. v(0) is subtracted first and kept as `offset`, so
        the empty set has no interaction.
    kind : {"and-or", "and", "or", "paper"}
        ``"and"``: Harsanyi dividends. ``"or"``: OR interactions only. Both are unique and exact.
        ``"and-or"``: v = u + w with the least L1 norm of the AND interactions of u and the OR interactions of w
        together (arXiv 2410.08455, Sec. 3); among all such optima the one of least squares. For a single player, AND
        and OR are the same function; both effects are added under AND. ``"paper"``: the same with the noise allowance
        of the interaction papers.
    noise : float, optional
        ``"and-or"``, ``"paper"``: each value except v(0) may be changed by up to ``noise * |v(N) - v(0)|`` to make the
        interactions sparser, which then add up to the changed values. By default 0, and 0.04 for ``"paper"``.
    tol : float
        ``"and-or"``, ``"paper"``: relative duality gap (objective - lower bound) / objective to reach.
    resolution : float, optional
        ``"and-or"``, ``"paper"``: relative duality gap to reach for the ridge problem, which makes the solution unique.
        By default 1e-12. If this is reached, answers from different starts, batches, threads and precisions share at
        least 99.99% of their strength. From 12 players on, `max_iterations` often stops it earlier;
        `Certificate.resolution` has the gap that was reached (docs/decomposition.md). ``math.inf`` only asks for `tol`,
        which is faster, but the answer may depend on the start. With noise this is the default, because the ridge
        problem is slow there; give 1e-5 to compare models.
    max_iterations : int
        Most iterations of each run of the solver (two runs, or three in float32). Newton's method may take as many
        again. The certificate counts them all.
    precision : {"float64", "float32"}
        Precision of the iterations. float32 is faster, and is continued in float64 if necessary. The solution and its
        certificate are always float64.
    start : Interactions, optional
        A warm start of the same shape. It does not change the answer beyond `resolution`. Even a start from the
        previous checkpoint of a run saves no measurable time; tables of all checkpoints in one batch do
        (docs/decomposition.md).
    players : sequence of str, optional
        Names of the n players; their numbers by default.
    progress : callable, optional
        Called with the number of tables that were just finished.

    Returns
    -------
    Interactions
        In the units and with the leading shape of `v`. The field `certificate` is None for ``"and"`` and ``"or"``.

    Raises
    ------
    BequeathError
        If `v` is not finite, its last axis has no length 2**n, an argument is out of range, or the memory is not
        enough.

    Warns
    -----
    CertificateWarning
        If a table stopped above `tol`.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> table = torch.tensor([1.0, 2.0, 2.0, 2.0], dtype=torch.float64)  # 1, plus 1 as soon as a player is shown
    >>> [(term.type, term.name, round(term.value, 3)) for term in bq.decompose(table, players=["a", "b"]).top(1)]
    [('or', '{a, b}', 1.0)]
    >>> bq.decompose(table, "and").and_.tolist()
    [0.0, 1.0, 1.0, -1.0]
    """
    if kind not in get_args(Kind):
        raise BequeathError(f'kind: {kind!r}; give "and", "or", "and-or" or "paper"')
    if noise is None and kind == "paper":
        noise = PAPER_NOISE
    options = solver_options(noise, tol, resolution, max_iterations, precision)
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
    """Exact sparse AND-OR interactions of several models on the same samples, decomposed together.

    It minimises the sum over models of the L1 norms of their interactions, plus `coupling` times the sum over pairs of
    models of |I_a - I_b|_1. So an interaction that could as well be shared is not assigned to one model only
    (docs/method.md, section "Exact readings").

    Parameters
    ----------
    tables : mapping of str to Tensor
        Value tables of each model, all of one shape (..., 2**n), on the same players and samples in the same order.
    coupling : float
        Weight of the differences between models; 0 decomposes each model separately.
    noise, tol, resolution, max_iterations, precision, players, progress
        As in `decompose`.
    start : mapping of str to Interactions, optional
        Warm starts, one for each model.

    Returns
    -------
    dict of str to Interactions
        By model, in the units of the tables. They share one `certificate`, of the joint problem.

    Raises
    ------
    BequeathError
        As `decompose`; or if the shapes or devices of the tables differ.

    Warns
    -----
    CertificateWarning
        If a sample stopped above `tol`.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> table = torch.tensor([0.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    >>> interactions = bq.decompose_jointly({"before": table, "after": table + 1.0})
    >>> torch.allclose(interactions["before"].values, interactions["after"].values)
    True
    """
    options = solver_options(noise, tol, resolution, max_iterations, precision)
    if not (coupling >= 0 and math.isfinite(coupling)):
        raise BequeathError(f"coupling: {coupling}; give a number of 0 or more")
    if not tables:
        raise BequeathError("tables: none given; give those of at least one model")
    checked = {
        name: check_table(v, f"tables[{name!r}]", work="joint interactions", models=len(tables))
        for name, v in tables.items()
    }
    first = next(iter(checked))
    for name, v in checked.items():
        if v.shape != checked[first].shape or v.device != checked[first].device:
            raise BequeathError(
                f"tables: {name!r} has shape {tuple(v.shape)} on {v.device}, {first!r} "
                f"{tuple(checked[first].shape)} on {checked[first].device}; give tables of the same samples and players"
            )
    stacked = torch.stack(list(checked.values()), dim=-2)
    n, shape = players_of(stacked), stacked.shape[:-2]
    names = player_names(players, n)
    offset = stacked[..., 0].clone()
    stacked = stacked - stacked[..., :1]
    warm = None
    if start is not None:
        if set(start) != set(tables):
            raise BequeathError(
                f"start: models {sorted(start)} for tables of {sorted(tables)}; give one for each"
            )
        warm = torch.stack([_warm(start[m], v, f"start[{m!r}]") for m, v in checked.items()], dim=-3)
        warm = warm.reshape(-1, len(checked), 2, 2**n)
    x, certificate = _solve(
        stacked.reshape(-1, len(checked), 2**n), shape, warm, coupling=coupling, progress=progress, **options
    )
    x = x.reshape(*shape, len(checked), 2, 2**n)
    return {
        name: Interactions(*_merge_singletons(x[..., i, :, :], n), offset[..., i], names, certificate)
        for i, name in enumerate(checked)
    }


def _warm(start: Interactions, v: Tensor, name: str) -> Tensor:
    """Values of a warm start, shape (..., 2, 2**n), checked."""
    if start.and_.shape != v.shape:
        raise BequeathError(
            f"{name}: shape {tuple(start.and_.shape)} for tables of shape {tuple(v.shape)}; give the same shape"
        )
    if not torch.isfinite(start.values).all():
        raise BequeathError(f"{name}: interactions that are not finite; give finite ones")
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
    # Two blocks for each thread, because some tables take longer than others.
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

    firsts = range(0, max(1, len(v)), rows)  # without tables, one empty block
    blocks: list[Split] = []
    for block in in_parts(split, [slice(first, first + rows) for first in firsts]):
        blocks.append(block)
        if progress is not None:
            progress(len(block.x) * v.shape[1])
    x = torch.cat([block.x for block in blocks])
    x[..., 0] = 0  # the solver leaves rounding errors there
    joined = {f.name: torch.cat([getattr(block, f.name) for block in blocks]) for f in fields(Certificate)}
    certificate = Certificate(**{name: values.reshape(shape) for name, values in joined.items()})
    above = int((~(certificate.gap <= tol)).sum())  # this form also counts nan
    if above:
        warnings.warn(
            f"{above} of {len(v)} decompositions stopped above the requested gap {tol:g} "
            f"(worst {certificate.gap.max().item():.2g}); raise max_iterations",
            CertificateWarning,
            stacklevel=3,
        )
    return x, certificate


def _merge_singletons(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """AND and OR arrays from x (..., 2, 2**n), with the OR effects of single players added to their AND effects."""
    single = orders(n, x.device) == 1
    and_, or_ = x[..., 0, :].clone(), x[..., 1, :].clone()
    and_[..., single] += or_[..., single]
    or_[..., single] = 0
    return and_, or_
