"""The sparsest AND-OR split of value tables: a convex problem, solved with a certificate.

Among all splits (`exact.basis`) the one with the least L1 norm of all interactions is wanted (METHOD 3);
of several models' tables together, the one with the least sum of L1 norms and differences (METHOD 3, joint). A
Douglas-Rachford iteration minimises f(x) + ridge/2 |x|^2 over the set of splits. The small ridge makes the minimiser
unique: among the optima it picks the one of least squares (exact regularisation of linear programmes: Friedlander &
Tseng, SIAM J. Optim. 18, 2007).
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
    ridged, plain = _posed(v / scale[:, None, None], noise, coupling, scale, tilt, tol, settle=settle)
    state = _begun(ridged, v, scale, start, start_dual)
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
    # The ridge leaves the bound a little slack: this run tightens it on the plain problem.
    run(certify, state, torch.float64)
    x, objective, bound = (
        scale[:, None, None, None] * state.best,
        scale * state.objective,
        scale * state.bound,
    )
    return Split(x, objective, bound, state.reached, state.iterations, state.duals)


def _begun(
    problems: Problems, v: Tensor, scale: Tensor, start: Tensor | None, start_dual: Tensor | None
) -> State:
    """The state at a start in the tables' own units, or else at their even split."""
    if start is None:
        x = even_split(problems.v)
    else:
        # A table without any effect has no scale that a start could be measured in; its split is zero.
        flat = v.abs().amax((-1, -2)) == 0
        x = torch.where(flat[:, None, None, None], 0.0, start / scale[:, None, None, None])
        x[..., 0] = 0
    halve_singletons_(x)  # without noise every iterate stays so
    return init_state(x, torch.zeros_like(problems.k0) if start_dual is None else start_dual.clone())


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
