"""How far the share of knowledge that two models have in common is determined at all (docs/decomposition.md).

Splits with nearly the least L1 norm are many. Of all pairs of them, one of each model, these bounds give the least
and the greatest share of the first model's strength that the second has too: values that some pair is shown to have,
and values that no pair can pass.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.crossings import Array
from bequeath.knowledge.regions import shared
from bequeath.knowledge.shares import Strengths
from bequeath.knowledge.statistics import Estimate, ratio_estimate
from bequeath.lattice.checks import check_table
from bequeath.lattice.exact.decompose import CertificateWarning
from bequeath.lattice.exact.iteration import halve_singletons_
from bequeath.lattice.exact.split import Split, sparsest_split
from bequeath.lattice.given import whole
from bequeath.lattice.subsets import orders, players_of
from bequeath.lattice.threads import in_parts
from bequeath.printable import one_line

# Couplings of the joint problems that bring two models together: small ones keep to the optima, large ones go as near
# as the slack allows.
_COUPLINGS = (0.1, 0.5, 2.0)
# Prices, per unit of an interaction, at which models are driven apart.
_PRICES = (0.02, 0.1)
# Price at which one interaction is made as small as it can be.
_ENTRY_PRICE = 0.5
_ROUNDS = 3
_ROUNDING = 1e-9
# Relative duality gap of every problem here; it widens the bounds.
_TOL = 1e-4
# Entries of problems that are solved together.
_BLOCK_ENTRIES = 2**18


@dataclass(frozen=True)
class ShareBounds:
    """Bounds on the preserved share of every pair of tables; all fields have the tables' leading shape.

    least <= least_found <= share <= greatest_found <= greatest.

    Attributes
    ----------
    least, greatest : Tensor
        No pair of splits within the slack has a share outside of these (outer bounds: they may be too wide).
    least_found, greatest_found : Tensor
        Shares of pairs that were found (inner bounds: every value between them is had by some pair).
    share : Tensor
        That of the two unique splits that `decompose` gives.

    Where a split's own solve did not come near enough to the least L1 norm to say which splits are within the slack of
    it, `least_found`, `share` and `greatest_found` are nan (and `converged` is false): `least` and `greatest` hold.
    """

    least: Tensor
    least_found: Tensor
    share: Tensor
    greatest_found: Tensor
    greatest: Tensor

    __repr__ = one_line

    @property
    def converged(self) -> Tensor:
        """Where both splits' solves came near enough: bool."""
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

    The preserved share of splits a, b is the sum of min(|a|, |b|) where the signs agree, over the sum of |a|
    (METHOD 5a); that is (|a|_1 + |b|_1 - |a - b|_1) / (2 |a|_1).

    Parameters
    ----------
    before, after : Tensor
        Value tables of two models on the same samples, shape (..., 2**n), each in the units that are to be compared.
    slack : float
        How far above its least L1 norm a split may be and still count, relative.
    entries : int
        How many of the strongest shared interactions are bounded from below, one by one; `least` sums these.
    max_iterations : int
        Of each problem's solver. Where it is not enough, outer bounds stay true and get wider; inner ones are not
        given.
    progress : callable, optional
        Called with the number of pairs just finished.

    Returns
    -------
    ShareBounds

    Raises
    ------
    BequeathError
        If the shapes differ, a table is not finite, or an argument is out of range.
    """
    if not 0 < slack < 1:
        raise BequeathError(f"slack: a share between 0 and 1, not {slack}")
    entries, max_iterations = whole(entries, "entries", 1), whole(max_iterations, "max_iterations", 1)
    a, b = check_table(before, "before"), check_table(after, "after")
    if a.shape != b.shape or a.device != b.device:
        raise BequeathError(
            f"after: shape {tuple(b.shape)} on {b.device}, before {tuple(a.shape)} on {a.device}; the two "
            "must be read on the same samples"
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
            f"{late} of {len(rows)} pairs: splits did not come within {max(slack, _TOL):g} of the least L1 norm; their "
            "inner bounds and shares are not given (nan): raise max_iterations",
            CertificateWarning,
            stacklevel=2,
        )
    return ShareBounds(*(column.reshape(a.shape[:-1]) for column in stacked.unbind(-1)))


def _share(a: Tensor, b: Tensor) -> Tensor:
    """Preserved share of two splits, shape (..., 2, 2**n); without any effect to preserve, all of it is."""
    total = a.abs().sum((-1, -2))
    return torch.where(total > 0, shared(a, b).sum((-1, -2)) / total.clamp(min=1e-300), 1.0)


def _bounds(pair: Tensor, slack: float, entries: int, max_iterations: int) -> Tensor:
    """The five numbers of one pair of tables, shape (2, 2**n)."""
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
        """x moved towards the model's own solution until its norm is within the limit."""
        room, excess = limit[model] - own.objective[model], x.abs().sum() - own.objective[model]
        moved = best[model] + (room / excess.clamp(min=1e-300)).clamp(max=1.0) * (x - best[model])
        return halve_singletons_(moved)

    def solve(v: Tensor, start: Tensor, **more: Any) -> Split:
        return sparsest_split(
            v,
            tol=_TOL,
            ridge_tol=math.inf,
            max_iterations=max_iterations,
            # Enough for such a gap, and faster; splits and bounds are float64 all the same.
            precision=torch.float32,
            start=start,
            **more,
        )

    found, greatest = [share], share.new_tensor(1.0)
    for coupling in _COUPLINGS:
        joint = solve(pair[None], best[None], coupling=coupling)
        found.append(_share(within(joint.x[0, 0], 0), within(joint.x[0, 1], 1)))
        # For every pair |a - b| >= (bound - |a| - |b|) / coupling. The share is monotone in |a|: an end has the most.
        strength = torch.stack((own.lower_bound[0], limit[0]))
        total = strength + limit[1]
        most = (total - (joint.lower_bound[0] - total) / coupling) / (2 * strength)
        greatest = torch.minimum(greatest, most.amax())
    for price in _PRICES:
        a, b = best
        for _ in range(_ROUNDS):
            # |a - b| is convex: the pair that goes farthest along its slope is no nearer than the pair before.
            away = torch.where((a - b).abs() <= _ROUNDING * a.abs().max(), torch.sign(a), torch.sign(a - b))
            tilt = price * halve_singletons_(torch.stack((away, -away)))[:, None]
            driven = solve(v, best[:, None], tilt=tilt)
            a, b = within(driven.x[0, 0], 0), within(driven.x[1, 0], 1)
            found.append(_share(a, b))

    def forced(model: int, tilt: Tensor) -> Tensor:
        """What the entries that `tilt` prices keep in every split within the limit, shape (entries,)."""
        kept = [share.new_zeros(0)]
        rows = max(1, _BLOCK_ENTRIES // best[0].numel())
        for first in range(0, len(tilt), rows):
            some = tilt[first : first + rows]
            count = len(some)
            bound = solve(
                pair[model].expand(count, 1, -1),
                best[model].expand(count, 1, -1, -1),
                # A price on one entry moves the answer little.
                start_dual=own.dual[model].expand(count, -1, -1),
                tilt=some,
                # Its lower bound is no greater, and shows nothing.
                enough=limit[model].expand(count),
            )
            kept.append(((bound.lower_bound - limit[model]) / _ENTRY_PRICE).clamp(min=0.0))
        return torch.cat(kept)

    tilt = _prices_of_strongest(best, entries)
    both = forced(0, tilt)
    some = both > 0
    both[some] = torch.minimum(both[some], forced(1, tilt[some]))
    shares = torch.stack(found)
    inner = torch.stack((shares.min(), share, shares.max()))
    inner = inner if near else torch.full_like(inner, torch.nan)
    return torch.stack((both.sum() / limit[0], *inner, greatest))


def _prices_of_strongest(best: Tensor, entries: int) -> Tensor:
    """Tilts against the strongest interactions that both models have, (up to `entries`, 1, 2, 2**n).

    A singleton stands in both types, half each, and is priced in both.
    """
    n = players_of(best)
    both = shared(best[0], best[1])
    single = orders(n, best.device) == 1
    both[0, single] += both[1, single]
    both[1, single] = 0
    index = both.flatten().argsort(descending=True)[:entries]
    index = index[both.flatten()[index] > 0]
    tilt = best.new_zeros(len(index), *both.shape)
    tilt.flatten(1)[torch.arange(len(index)), index] = -_ENTRY_PRICE * best[0].flatten()[index].sign()
    tilt[:, 1, single] += tilt[:, 0, single]
    return tilt[:, None]


BOUNDS = ("least", "least_found", "greatest_found", "greatest")


@dataclass(frozen=True)
class Identifiability:
    """Bounds of samples as bounds of the ratio of sums, each an estimate over samples (and seeds).

    Attributes
    ----------
    least, least_found, greatest_found, greatest : Estimate
        Of the preserved share, as in `ShareBounds`.
    new_least, new_greatest : Estimate
        Of the new share: what is not preserved of the second model is new.
    slack : float
        How far above its least L1 norm a split may be and still count, relative.
    """

    least: Estimate
    least_found: Estimate
    greatest_found: Estimate
    greatest: Estimate
    new_least: Estimate
    new_greatest: Estimate
    slack: float


def identifiability(bounds: Mapping[str, Array], strengths: Strengths, slack: float) -> Identifiability:
    """How far the preserved share is determined.

    Parameters
    ----------
    bounds : mapping of str to ndarray
        For each of `BOUNDS`: the samples' bounds, (samples,) or (seeds, samples).
    strengths : Strengths
        Of the same samples, in the units in which the bounds were found.
    slack : float
        As the bounds were found with.
    """
    before, after = strengths.total("before"), strengths.total("after")
    found = {name: ratio_estimate(bounds[name] * before, before) for name in BOUNDS}
    new = {
        f"new_{name}": ratio_estimate(after - bounds[other] * before, after)
        for name, other in (("least", "greatest"), ("greatest", "least"))
    }
    return Identifiability(**found, **new, slack=slack)
