"""The sparsest AND-OR split of value tables: a convex problem, solved with a certificate.

It looks for the split (`exact.basis`) with the least L1 norm of all interactions; for several models together, with the
least sum of L1 norms and differences (docs/method.md, section "Exact readings"). A Douglas-Rachford iteration minimises
f(x) + ridge/2 |x|^2 over the set of splits. The small ridge makes the minimiser unique: it is the optimum of least
squares (exact regularisation of linear programmes: Friedlander & Tseng, SIAM J. Optim. 18, 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bequeath.lattice.exact import newton
from bequeath.lattice.exact.basis import basis_of
from bequeath.lattice.exact.iteration import Problems, coordinates_of, even_split, halve_singletons_
from bequeath.lattice.exact.phases import Certify, Settle, State, init_state, run
from bequeath.lattice.subsets import players_of

# Soft threshold of a step, in units of the root mean square of the least-squares split. Smaller steps reach the L1
# optimum sooner, larger ones forget the start sooner; 3 is a compromise for n = 6..12.
_STEP = 3.0
# Ridge in units of 1 / (largest entry of the least-squares split). If it is not exact, it increases the L1 norm by
# about 1e-6 at most. This is too much for gaps below _EXACT_TOL, so there the ridge is smaller in proportion.
_RIDGE = 2e-3
_EXACT_TOL = 1e-4
# Values for the ridge problem with noise: the iteration is slower, and a larger ridge and other steps partly make up
# for it. (The metric weighs the entries of a table against interactions in the projection; it only matters with
# noise.)
_METRIC = 10.0
_NOISY_STEP, _NOISY_RIDGE, _NOISY_METRIC = 5.0, 3e-2, 30.0
# Gap of the ridge problem up to which float32 iterations are used; float64 continues from there.
_FLOAT32_GAP = 1e-5


@dataclass(frozen=True)
class Split:
    """Sparse splits of a batch of problems, with their certificates.

    Attributes
    ----------
    x : Tensor
        Shape (problems, models, 2, 2**n): AND and OR interactions; the effect of a single player is half in each.
    objective, lower_bound : Tensor
        Shape (problems,): f(x), and a lower bound on f of all splits.
    resolution : Tensor
        Shape (problems,): relative duality gap that was reached for the ridge problem.
    iterations : Tensor
        Shape (problems,), int64: number of iterations.
    dual : Tensor
        Shape (problems, models, 2**n): coordinates of a dual vector of x, a good start for similar problems.
    """

    x: Tensor
    objective: Tensor
    lower_bound: Tensor
    resolution: Tensor
    iterations: Tensor
    dual: Tensor


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
    """Split tables into AND and OR interactions with the least norm; among the optima, with the least squares.

    Parameters
    ----------
    v : Tensor
        Shape (problems, models, 2**n), float64, with v(0) = 0. The models of a problem are split together.
    noise : Tensor, optional
        Shape (problems, models): largest change of each value to make the split sparser.
    coupling : float
        Weight of the differences between the models' interactions.
    tol : float
        Relative duality gap (objective - lower bound) / objective to reach.
    ridge_tol : float
        Relative duality gap to reach for the ridge problem: how precisely the unique minimiser is determined. Infinite:
        any solution within `tol`.
    max_iterations : int
        Most iterations of each of the two runs: one for the ridge problem, one for the bound. Newton's method may take
        as many again, which are counted, too.
    precision : torch.dtype
        float32: iterate in float32 as far as possible, then continue in float64. Certificates are always float64.
    start : Tensor, optional
        Shape (problems, models, 2, 2**n): start of the iteration, any values. The result does not depend on it beyond
        `ridge_tol`.
    start_dual : Tensor, optional
        Shape (problems, models, 2**n): start of the dual vector, such as `Split.dual`; 0 by default.
    tilt : Tensor, optional
        Shape (problems, models, 2, 2**n), dual norm below 1, without noise: minimise f(x) - <tilt, x> instead.
        `objective` and `lower_bound` are then those of this difference.
    enough : Tensor, optional
        Shape (problems,), for an infinite `ridge_tol`: an objective at which a problem stops whatever its gap.

    Returns
    -------
    Split
    """
    if noise is not None:
        # A table within the noise needs no interactions; the iteration would only approach 0.
        within = (v.abs().amax(-1) <= noise).all(-1)
        v, noise = torch.where(within[:, None, None], 0.0, v), torch.where(within[:, None], 0.0, noise)
    scale = v.abs().amax((-1, -2)).clamp(min=1e-300)  # a table of zeros stays zero
    settle = math.isfinite(ridge_tol)
    ridged, plain = _problems_of(v / scale[:, None, None], noise, coupling, scale, tilt, tol, settle=settle)
    state = _start_state(ridged, v, scale, start, start_dual)
    certify = Certify(plain, max_iterations, tol, improve=not settle, scale=scale, enough=enough)
    if settle:
        watched = newton.watch(ridged)
        phase = Settle(ridged, max_iterations, max(_FLOAT32_GAP, ridge_tol), watched)
        if precision == torch.float32:
            run(phase, state, precision)
        run(replace(phase, goal=ridge_tol), state, torch.float64)
        if watched is not None:
            state.iterations.add_(watched.used)
    elif precision == torch.float32:
        run(certify, state, precision)
    # The ridge makes the bound a little too low; this run raises it on the plain problem.
    run(certify, state, torch.float64)
    x, objective, bound = (
        scale[:, None, None, None] * state.best,
        scale * state.objective,
        scale * state.bound,
    )
    return Split(x, objective, bound, state.reached, state.iterations, state.duals)


def _start_state(
    problems: Problems, v: Tensor, scale: Tensor, start: Tensor | None, start_dual: Tensor | None
) -> State:
    """The state at a start in the units of the tables, or by default at their even split."""
    if start is None:
        x = even_split(problems.v)
    else:
        # The split of a table of zeros is zero; it has no scale to divide a start by.
        flat = v.abs().amax((-1, -2)) == 0
        x = torch.where(flat[:, None, None, None], 0.0, start / scale[:, None, None, None])
        x[..., 0] = 0
    halve_singletons_(x)  # without noise, the iteration keeps the two effects equal
    return init_state(x, torch.zeros_like(problems.k0) if start_dual is None else start_dual.clone())


def _problems_of(
    v: Tensor,
    noise: Tensor | None,
    coupling: float,
    scale: Tensor,
    tilt: Tensor | None,
    tol: float,
    *,
    settle: bool,
) -> tuple[Problems, Problems]:
    """The ridge problems and the plain problems of scaled tables; without `settle`, both are the plain ones."""
    basis = basis_of(players_of(v), v.device)
    k0 = coordinates_of(basis, v)
    least_squares = basis.to_dual(k0)
    spread = least_squares.square().mean((-1, -2, -3)).sqrt().clamp(min=1e-300)
    largest = least_squares.abs().amax((-1, -2, -3)).clamp(min=1e-300)
    noise = None if noise is None else noise / scale[:, None]
    # With coupling, the norm of M models is up to 1 + coupling (M - 1) times the sum of their L1 norms: use this unit.
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
