"""The sparsest AND-OR split of value tables: a convex problem, solved with a certificate.

Among all splits (`bequeath.lattice.basis`) the one with the least L1 norm of all interactions is wanted (METHOD 2a).
A Douglas-Rachford iteration minimises |x|_1 + ridge/2 |x|^2 over the set of splits. The small ridge makes the
minimiser unique: among the L1-optimal splits it picks the one of least squares (exact regularisation of linear
programmes: Friedlander & Tseng, SIAM J. Optim. 18, 2007). Up to 9 players, Newton steps then settle it to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.lattice import transforms
from bequeath.lattice.basis import Basis, basis_of
from bequeath.lattice.newton import MAX_PLAYERS, settle, soft
from bequeath.lattice.subsets import orders, players_of

# Over-relaxation of Douglas-Rachford, as in the trial that METHOD 2a reports; other values were not compared.
_RELAXATION = 1.7
# Step: soft-threshold in units of the root mean square of the least-squares split. Smaller steps reach the L1
# optimum sooner, larger ones forget their start sooner; 3 balances both for n = 6..12.
_STEP = 3.0
# Ridge in units of 1 / (largest entry of the least-squares split).
_RIDGE = 1e-2
_CHECK_EVERY = 50
# Gap of the ridge problem from which Newton steps take over.
_NEWTON_FROM = 1e-4
# Gap that Newton steps must reach; a table where they do not is iterated to it.
_SETTLED = 1e-9


@dataclass(frozen=True)
class Split:
    """Sparse splits of a batch of tables, with their certificates.

    Attributes
    ----------
    x : Tensor
        Shape (tables, 2, 2**n): AND and OR interactions; a singleton's effect is halved between the two.
    objective, lower_bound : Tensor
        Shape (tables,): L1 norm of `x`, and a proven lower bound on the L1 norm of every split.
    resolution : Tensor
        Shape (tables,): relative duality gap of the ridge problem that was reached.
    iterations : Tensor
        Shape (tables,), int64.
    """

    x: Tensor
    objective: Tensor
    lower_bound: Tensor
    resolution: Tensor
    iterations: Tensor


@dataclass
class _State:
    """What one table carries through the iteration; every field has the tables on axis 0."""

    z: Tensor
    k0: Tensor
    step: Tensor
    ridge: Tensor

    def rows(self, keep: Tensor) -> _State:
        return _State(self.z[keep], self.k0[keep], self.step[keep], self.ridge[keep])


def _project(basis: Basis, state: _State) -> tuple[Tensor, Tensor]:
    """The nearest split to z, and the coordinates of what was taken off."""
    off = basis.coordinates(state.z) - state.k0
    return state.z - basis.to_dual(off), off


def _iterate(
    basis: Basis,
    state: _State,
    finished: Callable[[Tensor, Tensor, Tensor], Tensor],
    max_iterations: int,
) -> Tensor:
    """Run Douglas-Rachford, dropping tables from the batch as they finish.

    `finished(rows, x, dual)` sees the rows still running and says which are done. Returns iterations used.
    """
    count = state.z.shape[0]
    used = torch.full((count,), max_iterations, dtype=torch.int64)
    rows = torch.arange(count, device=state.z.device)
    for iteration in range(1, max_iterations + 1):
        x, off = _project(basis, state)
        if iteration % _CHECK_EVERY == 1 or iteration == max_iterations:
            done = finished(rows, x, -off / state.step[:, :, 0])
            used[rows[done].cpu()] = iteration
            if done.all():
                break
            if done.any():
                state, x, rows = state.rows(~done), x[~done], rows[~done]
        y = soft(2 * x - state.z, state.step) / (1 + state.ridge * state.step)
        state.z = state.z + _RELAXATION * (y - x)
    return used


def lower_bound(basis: Basis, dual: Tensor, k0: Tensor) -> tuple[Tensor, Tensor]:
    """A dual vector y scaled into the box |y| <= 1 bounds the L1 norm of every split from below by <y, x0>."""
    y = basis.to_dual(dual)
    return (dual * k0).sum(-1) / y.abs().amax((-1, -2)).clamp(min=1.0), y


def sparsest_split(
    v: Tensor, *, tol: float, ridge_tol: float, max_iterations: int, start: Tensor | None = None
) -> Split:
    """Split tables into AND and OR interactions of least L1 norm, the least-squares one among the optima.

    Parameters
    ----------
    v : Tensor
        Shape (tables, 2**n), float64, with v[:, 0] = 0.
    tol : float
        Relative duality gap (objective - lower bound) / objective to reach.
    ridge_tol : float
        Relative duality gap of the strongly convex problem to reach: how well the unique minimiser is resolved.
    max_iterations : int
        Of each of its runs: to the ridge problem's solution (again where Newton steps fail), and for the bound.
    start : Tensor, optional
        Shape (tables, 2, 2**n): where to start; any values. The result does not depend on it beyond `ridge_tol`.
    """
    n = players_of(v)
    basis = basis_of(n, v.device)
    scale = v.abs().amax(-1).clamp(min=1e-300)  # an all-zero table stays zero
    half = v / (2 * scale[:, None])
    x0 = torch.stack((transforms.moebius(half), transforms.or_moebius(half)), dim=1)
    x0[:, :, 0] = 0
    single = orders(n, v.device) == 1
    k0 = basis.coordinates(x0)
    least_squares = basis.to_dual(k0)
    largest = least_squares.abs().amax((-1, -2)).clamp(min=1e-300)
    step = _STEP * least_squares.square().mean((-1, -2)).sqrt().clamp(min=1e-300)
    # A table without any effect has no scale that a start could be measured in; its split is zero.
    flat = v.abs().amax(-1) == 0
    z = x0.clone() if start is None else torch.where(flat[:, None, None], 0.0, start / scale[:, None, None])
    z[:, :, 0] = 0
    # AND and OR effects of a singleton are one function of S; halving it between them keeps every iterate so.
    z[:, :, single] = z[:, :, single].mean(1, keepdim=True)

    count = v.shape[0]
    best = torch.zeros_like(x0)
    duals = torch.zeros_like(k0)
    bound = torch.zeros(count, dtype=v.dtype, device=v.device)
    reached = torch.full_like(bound, torch.inf)
    ridge = _RIDGE / largest

    def keep(rows: Tensor, x: Tensor, dual: Tensor) -> Tensor:
        """Note solutions where they are the best so far; returns the relative duality gap of their ridge problem."""
        low, y = lower_bound(basis, dual, k0[rows])
        r, l1 = ridge[rows], x.abs().sum((-1, -2))
        primal = l1 + r / 2 * x.square().sum((-1, -2))
        dual_value = (dual * k0[rows]).sum(-1) - soft(y, 1.0).square().sum((-1, -2)) / (2 * r)
        gap = torch.where(l1 > 0, (primal - dual_value) / l1, 0.0).clamp(min=0.0)
        bound[rows] = torch.maximum(bound[rows], low)
        better = gap <= reached[rows]
        kept = rows[better]
        best[kept], duals[kept], reached[kept] = x[better], dual[better], gap[better]
        return gap

    def run(rows: Tensor, z: Tensor, gap: float) -> Tensor:
        """Iterate on some tables until their ridge problem is solved to `gap`."""
        state = _State(z, k0[rows], step[rows, None, None], ridge[rows, None, None])
        return _iterate(basis, state, lambda at, x, dual: keep(rows[at], x, dual) <= gap, max_iterations)

    everything = torch.arange(count, device=v.device)
    by_newton = n <= MAX_PLAYERS
    iterations = run(everything, z, max(_NEWTON_FROM, ridge_tol) if by_newton else ridge_tol)
    if by_newton:
        for row in range(count):
            dual = settle(basis, duals[row], k0[row], ridge[row])[None]
            # The nearest split to the minimiser that the dual vector names.
            named = soft(basis.to_dual(dual), 1.0) / ridge[row]
            off = basis.coordinates(named) - k0[row]
            keep(everything[row : row + 1], named - basis.to_dual(off), dual)
        rest = everything[reached > min(ridge_tol, _SETTLED)]
        if len(rest):
            back = best[rest] - step[rest, None, None] * basis.to_dual(duals[rest])
            iterations[rest.cpu()] += run(rest, back, min(ridge_tol, _SETTLED))
    objective = best.abs().sum((-1, -2))

    def certified(rows: Tensor, x: Tensor, dual: Tensor) -> Tensor:
        low, _ = lower_bound(basis, dual, k0[rows])
        bound[rows] = torch.maximum(bound[rows], low)
        return objective[rows] - bound[rows] <= tol * objective[rows]

    # The ridge leaves the bound a little slack: tighten it on the plain problem, from where the first phase ended,
    # with its dual vector cut to the box.
    polished = best - step[:, None, None] * basis.to_dual(duals).clamp(-1, 1)
    plain = _State(polished, k0, step[:, None, None], torch.zeros_like(step[:, None, None]))
    iterations += _iterate(basis, plain, certified, max_iterations)
    scaled = scale[:, None, None] * best
    return Split(scaled, scale * objective, scale * bound, reached, iterations)
