"""The sparsest AND-OR split of value tables: a convex problem, solved with a certificate.

Among all splits (`exact.basis`) the one with the least L1 norm of all interactions is wanted (METHOD 2a);
of several models' tables together, the one with the least sum of L1 norms and differences (METHOD 2b, joint). A
Douglas-Rachford iteration minimises f(x) + ridge/2 |x|^2 over the set of splits. The small ridge makes the minimiser
unique: among the optima it picks the one of least squares (exact regularisation of linear programmes: Friedlander &
Tseng, SIAM J. Optim. 18, 2007).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bequeath.lattice.exact import newton
from bequeath.lattice.exact.basis import basis_of
from bequeath.lattice.exact.duality import lower_bound, objective_of, ridge_gap
from bequeath.lattice.exact.iteration import (
    Problems,
    advance,
    coordinates_of,
    even_split,
    halve_singletons_,
    point_at,
    solution_at,
)
from bequeath.lattice.subsets import players_of

# Step: soft-threshold in units of the root mean square of the least-squares split. Smaller steps reach the L1
# optimum sooner, larger ones forget their start sooner; 3 balances both for n = 6..12.
_STEP = 3.0
# Ridge in units of 1 / (largest entry of the least-squares split). It costs the L1 norm some 1e-6 at most where it is
# not exact, which gaps below _EXACT_TOL do not allow for: then it is smaller in proportion.
_RIDGE = 2e-3
_EXACT_TOL = 1e-4
# With noise, to settle the answer: the iteration is slower, and a larger ridge and other steps make up for some of it.
# (The metric weighs a table's entries against interactions in the projection; without noise it has no meaning.)
_METRIC = 10.0
_NOISY_STEP, _NOISY_RIDGE, _NOISY_METRIC = 5.0, 3e-2, 30.0
# Certificates are taken after 0, 32, 64, ... iterations, then whenever these have grown by a quarter.
_CHECK_EVERY = 32
# Where a gap below _FINE is asked for, the first checks come later: one takes as long as hundreds of iterations.
_CHECK_RARELY, _FINE = 512, 1e-7
# Gap of the ridge problem that float32 iterations can reach and float64 ones go on from.
_FLOAT32_GAP = 1e-5


@dataclass(frozen=True)
class Split:
    """Sparse splits of a batch of problems, with their certificates.

    Attributes
    ----------
    x : Tensor
        Shape (problems, models, 2, 2**n): AND and OR interactions; a singleton's effect is in both together.
    objective, lower_bound : Tensor
        Shape (problems,): f(x), and a proven lower bound on f of every split.
    resolution : Tensor
        Shape (problems,): relative duality gap of the ridge problem that was reached.
    iterations : Tensor
        Shape (problems,), int64.
    dual : Tensor
        Shape (problems, models, 2**n): coordinates of a dual vector of x, to start a problem from that differs little.
    """

    x: Tensor
    objective: Tensor
    lower_bound: Tensor
    resolution: Tensor
    iterations: Tensor
    dual: Tensor


# (rows still running, their splits x, their dual coordinates k, iterations so far) -> which are done
_Finished = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def _iterate(
    problems: Problems,
    z: Tensor,
    finished: _Finished,
    max_iterations: int,
    check_every: int,
) -> Tensor:
    """Run the iteration, dropping problems from the batch as they finish.

    `finished(rows, x, k, iteration)` sees the rows still running, in float64, and says which are done. Returns
    iterations used.
    """
    used = torch.full((len(z),), max_iterations, dtype=torch.int64)
    rows = torch.arange(len(z), device=z.device)
    iteration = 0
    while len(rows):
        done = finished(rows, *solution_at(problems, z.double()), iteration)
        used[rows[done].cpu()] = iteration
        if iteration == max_iterations or bool(done.all()):
            break
        if bool(done.any()):
            problems, z, rows = problems.rows(~done), z[~done], rows[~done]
        steps = min(max(check_every, iteration // 4), max_iterations - iteration)
        z = advance(problems, z, steps)
        iteration += steps
    return used


def sparsest_split(
    v: Tensor,
    *,
    noise: Tensor | None = None,
    coupling: float = 0.0,
    tol: float,
    ridge_tol: float,
    max_iterations: int,
    precision: torch.dtype = torch.float64,
    start: Tensor | None = None,
    start_dual: Tensor | None = None,
    tilt: Tensor | None = None,
    enough: Tensor | None = None,
) -> Split:
    """Split tables into AND and OR interactions of least norm, the least-squares one among the optima.

    Parameters
    ----------
    v : Tensor
        Shape (problems, models, 2**n), float64, with v(0) = 0. The models of a problem are split together.
    noise : Tensor, optional
        Shape (problems, models): largest change of each value that may be made for a sparser split.
    coupling : float
        Weight of the differences between the models' interactions.
    tol : float
        Relative duality gap (objective - lower bound) / objective to reach.
    ridge_tol : float
        Relative duality gap of the strongly convex problem to reach: how well the unique minimiser is resolved.
        Infinite: any solution within `tol` will do.
    max_iterations : int
        Of each of its two runs: to the ridge problem's solution, and for the bound. Newton's method may take as many
        again of its own, which are counted too.
    precision : torch.dtype
        float32: iterations are, as far as these go, and then go on in float64. All certificates are float64.
    start : Tensor, optional
        Shape (problems, models, 2, 2**n): where to start; any values. The result does not depend on it beyond
        `ridge_tol`.
    start_dual : Tensor, optional
        Shape (problems, models, 2**n): the dual vector to start from, as `Split.dual`; 0 by default.
    tilt : Tensor, optional
        Shape (problems, models, 2, 2**n), dual norm below 1, without noise: minimise f(x) - <tilt, x> instead.
        `objective` and `lower_bound` are then those of that difference.
    enough : Tensor, optional
        Shape (problems,), for an infinite `ridge_tol`: an objective at which a problem may stop, whatever its gap.
    """
    if noise is not None:
        # No interactions at all explain a table that the noise may explain; the iteration would only approach 0.
        within = (v.abs().amax(-1) <= noise).all(-1)
        v, noise = torch.where(within[:, None, None], 0.0, v), torch.where(within[:, None], 0.0, noise)
    scale = v.abs().amax((-1, -2)).clamp(min=1e-300)  # an all-zero table stays zero
    settle = math.isfinite(ridge_tol)
    # The ridge leaves the bound a little slack: a second run tightens it on the plain problem.
    problems, plain = _posed(v / scale[:, None, None], noise, coupling, scale, tilt, tol, settle=settle)
    x0 = even_split(problems.v)
    if start is not None:
        # A table without any effect has no scale that a start could be measured in; its split is zero.
        flat = v.abs().amax((-1, -2)) == 0
        x0 = torch.where(flat[:, None, None, None], 0.0, start / scale[:, None, None, None])
        x0[..., 0] = 0
    halve_singletons_(x0)  # without noise every iterate stays so

    count = len(v)
    best = torch.zeros_like(x0)
    duals = torch.zeros_like(problems.k0) if start_dual is None else start_dual.clone()
    objective = torch.full((count,), torch.inf, dtype=v.dtype, device=v.device)
    bound, reached = torch.zeros_like(objective), torch.full_like(objective, torch.inf)
    iterations = torch.zeros(count, dtype=torch.int64)

    def run(
        rows: Tensor, posed: Problems, z: Tensor, finished: _Finished, check_every: int = _CHECK_EVERY
    ) -> None:
        """Iterate on some rows, in the precision of z."""
        used = _iterate(
            posed.rows(rows),
            z,
            lambda some, x, k, i: finished(rows[some], x, k, i),
            max_iterations,
            check_every,
        )
        iterations[rows.cpu()] += used

    def noted(rows: Tensor, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Keep solutions where they are the best so far; their gaps and dual vectors."""
        some = problems.rows(rows)
        low, y = lower_bound(some, k)
        gap = ridge_gap(some, x, k, y)
        bound[rows] = torch.maximum(bound[rows], low)
        better = gap <= reached[rows]
        kept = rows[better]
        best[kept], duals[kept], reached[kept] = x[better], k[better], gap[better]
        objective[kept] = objective_of(some.rows(better), x[better])
        return gap, y

    def settled(rows: Tensor, x: Tensor, k: Tensor, iteration: int, goal: float) -> Tensor:
        """Which are resolved to `goal`, if need be by Newton's method?"""
        gap, y = noted(rows, x, k)
        if watched is not None:
            spent = iterations[rows] + iteration + watched.used[rows]
            ready = watched.ready(rows, y, spent) & (gap > goal)
            if bool(ready.any()):
                near = rows[ready]
                found = newton.finish(
                    problems, watched, near, x[ready], k[ready], goal, spent[ready], most=max_iterations
                )
                gap[ready], _ = noted(near, *found)
        return gap <= goal

    watched = newton.watch(problems) if settle else None
    rarely = _CHECK_EVERY
    if watched is not None and ridge_tol < _FINE:
        rarely = min(max(v.shape[-1] // 2, _CHECK_EVERY), _CHECK_RARELY)
    everything = torch.arange(count, device=v.device)
    z = point_at(problems, x0, duals)
    if settle:
        if precision == torch.float32:
            goal = max(_FLOAT32_GAP, ridge_tol)
            run(everything, problems, z.float(), lambda rows, x, k, i: settled(rows, x, k, i, goal))
            z = point_at(problems, best, duals)
        rest = everything[reached > ridge_tol]
        run(rest, problems, z[rest], lambda rows, x, k, i: settled(rows, x, k, i, ridge_tol), rarely)

    def closed(rows: Tensor) -> Tensor:
        """Which have the gap that is asked for, or an objective that is enough?"""
        value = objective[rows]
        done = value.isfinite() & (value - bound[rows] <= tol * value)
        return done if enough is None else done | (scale[rows] * value <= enough[rows])

    def certified(rows: Tensor, x: Tensor, k: Tensor, iteration: int) -> Tensor:
        """Tighten the bound; improve the solution too, but only where none was settled before."""
        some = plain.rows(rows)
        low, _ = lower_bound(some, k)
        bound[rows] = torch.maximum(bound[rows], low)
        if not settle:
            value = objective_of(some, x)
            better = value < objective[rows]
            kept = rows[better]
            best[kept], duals[kept], objective[kept] = x[better], k[better], value[better]
        return closed(rows)

    if settle:
        z = point_at(plain, best, duals)
    elif precision == torch.float32:
        run(everything, plain, z.float(), certified)
        z = point_at(plain, best, duals)
    rest = everything[~closed(everything)]
    run(rest, plain, z[rest], certified)
    if watched is not None:
        iterations += watched.used
    back = scale[:, None, None, None]
    return Split(back * best, scale * objective, scale * bound, reached, iterations, duals)


def _posed(
    v: Tensor,
    noise: Tensor | None,
    coupling: float,
    scale: Tensor,
    tilt: Tensor | None,
    tol: float,
    *,
    settle: bool,
) -> tuple[Problems, Problems]:
    """The problems of scaled tables with the ridge that settles them, and plain; twice the plain ones without it."""
    basis = basis_of(players_of(v), v.device)
    k0 = coordinates_of(basis, v)
    least_squares = basis.to_dual(k0)
    spread = least_squares.square().mean((-1, -2, -3)).sqrt().clamp(min=1e-300)
    largest = least_squares.abs().amax((-1, -2, -3)).clamp(min=1e-300)
    noise = None if noise is None else noise / scale[:, None]
    # The norm of M models that differ is up to 1 + coupling (M - 1) times the sum of theirs: measure in its units.
    unit_norm = 1 + coupling * (v.shape[1] - 1)
    plain = Problems(
        v, k0, noise, _STEP / unit_norm * spread, torch.zeros_like(largest), coupling, _METRIC, tilt
    )
    if not settle:
        return plain, plain
    step, ridge, metric = (
        (_STEP, _RIDGE, _METRIC) if noise is None else (_NOISY_STEP, _NOISY_RIDGE, _NOISY_METRIC)
    )
    ridges = ridge * unit_norm * min(1.0, tol / _EXACT_TOL) / largest
    return replace(plain, step=step / unit_norm * spread, ridge=ridges, metric=metric), plain
