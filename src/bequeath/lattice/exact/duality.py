"""Certificates of splits from dual vectors: lower bounds on f of all splits, and gaps of the ridge problem."""

from __future__ import annotations

import torch
from torch import Tensor

from bequeath.lattice import transforms
from bequeath.lattice.exact.iteration import Problems
from bequeath.lattice.exact.penalty import gauge, norm, prox


def dual_value(problems: Problems, k: Tensor, y: Tensor) -> Tensor:
    """The dual objective: <k, k0> minus its largest change by the noise, summed over models; y = to_dual(k).

    Parameters
    ----------
    problems : Problems
        The problems.
    k : Tensor
        Dual coordinates (problems, models, 2**n).
    y : Tensor
        ``to_dual(k)``, (problems, models, 2, 2**n).

    Returns
    -------
    Tensor
        (problems,), in the units of the tables.
    """
    value = (k * problems.k0).sum(-1)
    if problems.noise is not None:
        multiplier = transforms.moebius_adjoint(y[..., 0, :])[..., 1:]
        value = value - problems.noise * multiplier.abs().sum(-1)
    return value.sum(-1)


def lower_bound(problems: Problems, k: Tensor) -> tuple[Tensor, Tensor]:
    """Lower bound on f of all splits, from a dual vector scaled into the polar of the norm; and y = to_dual(k).

    Parameters
    ----------
    problems : Problems
        The problems.
    k : Tensor
        Dual coordinates (problems, models, 2**n).

    Returns
    -------
    bound : Tensor
        (problems,), in the units of the tables.
    y : Tensor
        (problems, models, 2, 2**n).
    """
    y = problems.basis.to_dual(k)
    largest = _gauge(problems, y).clamp(min=1.0)
    if problems.tilt is None:
        return dual_value(problems, k, y) / largest, y
    # share * y + tilt must lie in the polar. It equals share * (y + tilt) + (1 - share) * tilt.
    tilted = gauge(problems.tilt, problems.coupling, dim=1).amax((-1, -2))
    return dual_value(problems, k, y) * (1 - tilted) / (largest - tilted), y


def _gauge(problems: Problems, y: Tensor) -> Tensor:
    y = y if problems.tilt is None else y + problems.tilt
    return gauge(y, problems.coupling, dim=1).amax((-1, -2))


def objective_of(problems: Problems, x: Tensor) -> Tensor:
    """f(x) - <tilt, x>.

    Parameters
    ----------
    problems : Problems
        The problems.
    x : Tensor
        Splits (problems, models, 2, 2**n).

    Returns
    -------
    Tensor
        (problems,), in the units of the tables.
    """
    total = norm(x, problems.coupling, dim=1).sum((-1, -2))
    return total if problems.tilt is None else total - (problems.tilt * x).sum((-1, -2, -3))


def ridge_gap(problems: Problems, x: Tensor, k: Tensor, y: Tensor) -> Tensor:
    """Duality gap of the ridge problem, divided by f(x).

    Parameters
    ----------
    problems : Problems
        The problems.
    x : Tensor
        Splits (problems, models, 2, 2**n).
    k : Tensor
        Dual coordinates (problems, models, 2**n).
    y : Tensor
        ``to_dual(k)``, (problems, models, 2, 2**n).

    Returns
    -------
    Tensor
        (problems,), at least 0; lower is better.
    """
    ridge = problems.ridge[:, None, None, None]
    tilted = y if problems.tilt is None else y + problems.tilt
    # The maximiser of <x, y> - f(x) - ridge/2 |x|^2.
    best = prox(tilted / ridge, 1 / ridge, problems.coupling, dim=1)
    conjugate = (best * y - ridge / 2 * best.square()).sum((-1, -2, -3)) - objective_of(problems, best)
    objective = objective_of(problems, x)
    primal = objective + problems.ridge / 2 * x.square().sum((-1, -2, -3))
    gap = (primal - dual_value(problems, k, y) + conjugate) / objective
    return torch.where(objective > 0, gap, 0.0).clamp(min=0.0)
