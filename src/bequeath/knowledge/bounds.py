"""Bounds on the preserved share over all nearly sparsest AND-OR splits (docs/decomposition.md).

Many splits of a value table have nearly the least L1 norm. Take one such split of each model: the pair has a preserved
share. Inner bounds are shares of pairs that were found; outer bounds are shares that no pair can go beyond.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.regions import shared
from bequeath.lattice.checks import check_table
from bequeath.lattice.exact.decompose import CertificateWarning
from bequeath.lattice.exact.iteration import halve_singletons_
from bequeath.lattice.exact.split import Split, sparsest_split
from bequeath.lattice.given import whole
from bequeath.lattice.subsets import orders, players_of
from bequeath.lattice.threads import in_parts
from bequeath.printable import one_line

# Couplings of the joint problems that bring two models together. Small ones stay near the optima; large ones use all of
# the slack.
_COUPLINGS = (0.1, 0.5, 2.0)
# Prices per unit of an interaction, used to drive two models apart.
_PRICES = (0.02, 0.1)
# Price per unit of one interaction, used to make it as small as possible.
_ENTRY_PRICE = 0.5
_ROUNDS = 3
_ROUNDING = 1e-9
# Relative duality gap of all problems in this module; it widens the bounds.
_TOL = 1e-4
# Number of entries of the problems that are solved together.
_BLOCK_ENTRIES = 2**18


@dataclass(frozen=True)
class ShareBounds:
    """Bounds on the preserved share of each pair of value tables (`preserved_bounds` makes them).

    All fields have the tables' leading shape, and least <= least_found <= share <= greatest_found <= greatest.

    Attributes
    ----------
    least, greatest : Tensor
        Outer bounds: no pair of splits within the slack has a share outside of them. They may be too wide.
    least_found, greatest_found : Tensor
        Inner bounds: shares of pairs that were found. Each value between them is the share of some pair.
    share : Tensor
        The share of the two unique splits that `decompose` gives.

    Notes
    -----
    A solver may stop too far from the least L1 norm to tell which splits lie within the slack. Then `least_found`,
    `share` and `greatest_found` are NaN and `converged` is False; `least` and `greatest` hold all the same.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> table = torch.tensor([0.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    >>> bounds = bq.preserved_bounds(table, 2 * table)
    >>> bool(bounds.least <= bounds.share <= bounds.greatest), bool(bounds.converged)
    (True, True)
    """

    least: Tensor
    least_found: Tensor
    share: Tensor
    greatest_found: Tensor
    greatest: Tensor

    __repr__ = one_line

    @property
    def converged(self) -> Tensor:
        """Whether both splits were solved well enough for inner bounds: bool, the tables' leading shape."""
        return self.share.isfinite()


def preserved_bounds(
    before: Tensor,
    after: Tensor,
    *,
    slack: float = 1e-3,
    entries: int = 64,
    max_iterations: int = 20_000,
    progress: Callable[[int], None] | None = None,
) -> ShareBounds:
    """Least and greatest preserved share over all AND-OR splits within (1 + slack) of the least L1 norms.

    The preserved share of two splits a, b is the sum of min(|a|, |b|) where the signs agree, divided by the sum of |a|.
    This equals (|a|_1 + |b|_1 - |a - b|_1) / (2 |a|_1). Source: docs/method.md, section "Observed"; the bounds are
    derived in docs/decomposition.md.

    Parameters
    ----------
    before, after : Tensor
        Value tables of two models on the same samples, shape (..., 2**n), both in the units to be compared.
    slack : float
        How far the L1 norm of a split may lie above the least one, as a share of it; between 0 and 1.
    entries : int
        Number of the strongest shared interactions that are bounded from below one by one; `least` is their sum.
    max_iterations : int
        Most iterations of each solver. If they are too few, the outer bounds stay valid but are wider, and the inner
        bounds are NaN.
    progress : callable, optional
        Called with the number of pairs that were just finished.

    Returns
    -------
    ShareBounds
        Shares in [0, 1], with the tables' leading shape.

    Raises
    ------
    BequeathError
        If the shapes differ, a table is not finite, or an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> before = torch.tensor([0.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    >>> after = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    >>> bounds = bq.preserved_bounds(before, after)
    >>> round(bounds.share.item(), 1)
    0.2
    """
    if not 0 < slack < 1:
        raise BequeathError(f"slack: {slack} given; give a share between 0 and 1")
    entries, max_iterations = whole(entries, "entries", 1), whole(max_iterations, "max_iterations", 1)
    a, b = check_table(before, "before"), check_table(after, "after")
    if a.shape != b.shape or a.device != b.device:
        raise BequeathError(
            f"after: shape {tuple(b.shape)} on {b.device}, but before has {tuple(a.shape)} on {a.device}; give tables "
            "of the same samples and players, on one device"
        )
    pairs = torch.stack((a - a[..., :1], b - b[..., :1]), dim=-2).reshape(-1, 2, a.shape[-1])
    rows = []
    for row in in_parts(lambda pair: _bounds(pair, slack, entries, max_iterations), list(pairs)):
        rows.append(row)
        if progress is not None:
            progress(1)
    stacked = torch.stack(rows) if rows else a.new_zeros(0, 5)
    late = int(stacked[:, 2].isnan().sum())
    if late:
        warnings.warn(
            f"{late} of {len(rows)} pairs: the splits did not come within {max(slack, _TOL):g} of the least L1 norm, "
            "so their inner bounds and shares are nan; raise max_iterations",
            CertificateWarning,
            stacklevel=2,
        )
    return ShareBounds(*(column.reshape(a.shape[:-1]) for column in stacked.unbind(-1)))


def _share(a: Tensor, b: Tensor) -> Tensor:
    """Preserved share of two splits, shape (..., 2, 2**n); 1 if the first has no strength."""
    total = a.abs().sum((-1, -2))
    return torch.where(total > 0, shared(a, b).sum((-1, -2)) / total.clamp(min=1e-300), 1.0)


def _bounds(pair: Tensor, slack: float, entries: int, max_iterations: int) -> Tensor:
    """The five fields of `ShareBounds` for one pair of tables, shape (2, 2**n)."""
    v = pair[:, None]
    own = sparsest_split(v, tol=_TOL, ridge_tol=1e-12, max_iterations=max_iterations)
    best, limit = own.x[:, 0], (1 + slack) * own.objective
    share = _share(best[0], best[1])
    if bool((own.objective == 0).any()):
        return share.expand(5)
    near = bool(
        ((own.objective - own.lower_bound) <= max(slack, _TOL) * own.objective).all()
    )  # nan is not near

    def within(x: Tensor, model: int) -> Tensor:
        """Move x towards the model's own solution until its norm is within the limit."""
        room, excess = limit[model] - own.objective[model], x.abs().sum() - own.objective[model]
        moved = best[model] + (room / excess.clamp(min=1e-300)).clamp(max=1.0) * (x - best[model])
        return halve_singletons_(moved)

    def solve(v: Tensor, start: Tensor, **more: Any) -> Split:
        return sparsest_split(
            v,
            tol=_TOL,
            ridge_tol=math.inf,
            max_iterations=max_iterations,
            # float32 is enough for this gap, and faster; splits and bounds are float64 all the same.
            precision=torch.float32,
            start=start,
            **more,
        )

    inner_shares, greatest = [share], share.new_tensor(1.0)
    for coupling in _COUPLINGS:
        joint = solve(pair[None], best[None], coupling=coupling)
        inner_shares.append(_share(within(joint.x[0, 0], 0), within(joint.x[0, 1], 1)))
        # For every pair |a - b| >= (bound - |a| - |b|) / coupling. The share is monotone in |a|, so its maximum is at
        # one of the ends of the range of |a|.
        strength = torch.stack((own.lower_bound[0], limit[0]))
        total = strength + limit[1]
        most = (total - (joint.lower_bound[0] - total) / coupling) / (2 * strength)
        greatest = torch.minimum(greatest, most.amax())
    for price in _PRICES:
        a, b = best
        for _ in range(_ROUNDS):
            # |a - b| is convex, so the pair that lies farthest along its slope is at least as far apart as this pair.
            away = torch.where((a - b).abs() <= _ROUNDING * a.abs().max(), torch.sign(a), torch.sign(a - b))
            tilt = price * halve_singletons_(torch.stack((away, -away)))[:, None]
            driven = solve(v, best[:, None], tilt=tilt)
            a, b = within(driven.x[0, 0], 0), within(driven.x[1, 0], 1)
            inner_shares.append(_share(a, b))

    def forced(model: int, tilt: Tensor) -> Tensor:
        """Lower bound on each entry priced by `tilt`, over all splits within the limit; shape (entries,)."""
        kept = [share.new_zeros(0)]
        rows = max(1, _BLOCK_ENTRIES // best[0].numel())
        for first in range(0, len(tilt), rows):
            block = tilt[first : first + rows]
            count = len(block)
            bound = solve(
                pair[model].expand(count, 1, -1),
                best[model].expand(count, 1, -1, -1),
                # A price on one entry changes the solution little, so the own dual is a good start.
                start_dual=own.dual[model].expand(count, -1, -1),
                tilt=block,
                # An objective this low cannot give a bound above 0: stop there.
                enough=limit[model].expand(count),
            )
            kept.append(((bound.lower_bound - limit[model]) / _ENTRY_PRICE).clamp(min=0.0))
        return torch.cat(kept)

    tilt = _prices_of_strongest(best, entries)
    in_both = forced(0, tilt)
    positive = in_both > 0
    in_both[positive] = torch.minimum(in_both[positive], forced(1, tilt[positive]))
    shares = torch.stack(inner_shares)
    inner = torch.stack((shares.min(), share, shares.max()))
    inner = inner if near else torch.full_like(inner, torch.nan)
    return torch.stack((in_both.sum() / limit[0], *inner, greatest))


def _prices_of_strongest(best: Tensor, entries: int) -> Tensor:
    """Tilts against the strongest interactions that both models have, (up to `entries`, 1, 2, 2**n).

    A singleton is stored half as AND and half as OR, so it is priced in both.
    """
    n = players_of(best)
    common = shared(best[0], best[1])
    single = orders(n, best.device) == 1
    common[0, single] += common[1, single]
    common[1, single] = 0
    index = common.flatten().argsort(descending=True)[:entries]
    index = index[common.flatten()[index] > 0]
    tilt = best.new_zeros(len(index), *common.shape)
    tilt.flatten(1)[torch.arange(len(index)), index] = -_ENTRY_PRICE * best[0].flatten()[index].sign()
    tilt[:, 1, single] += tilt[:, 0, single]
    return tilt[:, None]
