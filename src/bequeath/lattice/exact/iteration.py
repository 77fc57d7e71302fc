"""Douglas-Rachford iterations for sparse splits: one step is a projection onto the splits and a soft threshold.

A problem has the tables of one or several models, which are split together. Compiled kernels iterate a batch of
problems on CPUs, torch elsewhere; both compute the same (docs/decomposition.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from bequeath.lattice import transforms
from bequeath.lattice.exact.basis import Basis, basis_of, golden_angle, transposed
from bequeath.lattice.exact.penalty import prox
from bequeath.lattice.kronecker import Matrix, compiled_for, kronecker_power
from bequeath.lattice.subsets import orders, players_of
from bequeath.lattice.threads import in_threads

# Over-relaxation of Douglas-Rachford; other values were not compared.
_RELAXATION = 1.7


@dataclass(frozen=True)
class Problems:
    """A batch of problems; axis 0 of all tensors is the axis of problems.

    Attributes
    ----------
    v : Tensor
        Tables, shape (problems, models, 2**n), float64, with v(0) = 0.
    k0 : Tensor
        Coordinates of the splits of the tables, shape (problems, models, 2**n).
    noise : Tensor or None
        Largest change of each value, shape (problems, models).
    step, ridge : Tensor
        Shape (problems,): step of the iteration, and weight of the quadratic term.
    coupling : float
        Weight of the differences between models.
    metric : float
        With noise: weight of the entries of tables against interactions in the projection.
    tilt : Tensor or None
        Shape (problems, models, 2, 2**n): the objective is f(x) - <tilt, x>.
    """

    v: Tensor
    k0: Tensor
    noise: Tensor | None
    step: Tensor
    ridge: Tensor
    coupling: float
    metric: float
    tilt: Tensor | None = None

    @property
    def basis(self) -> Basis:
        """The coordinates for the number of players."""
        return basis_of(players_of(self.v), self.v.device)

    def rows(self, keep: Tensor) -> Problems:
        """A selection of the problems."""
        noise = None if self.noise is None else self.noise[keep]
        tilt = None if self.tilt is None else self.tilt[keep]
        return replace(
            self,
            v=self.v[keep],
            k0=self.k0[keep],
            noise=noise,
            tilt=tilt,
            step=self.step[keep],
            ridge=self.ridge[keep],
        )


def point_at(problems: Problems, x: Tensor, k: Tensor) -> Tensor:
    """The iterate with the solution x, shape (problems, models, 2, 2**n), and the dual coordinates k."""
    y = problems.basis.to_dual(k)
    step = problems.step[:, None, None, None]
    z = x - step * y
    if problems.noise is None:
        return z
    tables = torch.stack((transforms.zeta(x[..., 0, :]), transforms.or_zeta(x[..., 1, :])), dim=-2)
    # OR of the empty set is no interaction, but the map from tables has an entry for it.
    z[..., 1, 0] = -tables[..., 1, -1]
    multiplier = transforms.moebius_adjoint(y[..., 0, :])[..., None, :]
    return torch.cat((z, tables + problems.metric * step * multiplier), dim=-2)


def solution_at(problems: Problems, z: Tensor) -> tuple[Tensor, Tensor]:
    """The splits x of an iterate, exact for tables within the noise, and their dual coordinates k.

    Parameters
    ----------
    problems : Problems
        The problems.
    z : Tensor
        Iterates.

    Returns
    -------
    x : Tensor
        Splits (problems, models, 2, 2**n).
    k : Tensor
        Dual coordinates (problems, models, 2**n).
    """
    basis, step = problems.basis, problems.step[:, None, None]
    if problems.noise is None:
        off = basis.coordinates(z) - problems.k0
        return z - basis.to_dual(off), -off / step
    off = _off_graph(z, problems.metric)
    values, tables = (z - off).tensor_split(2, dim=-2)
    values[..., 0] = 0
    halve_singletons_(values)  # with noise the two may differ, or even cancel
    bound = problems.noise[..., None]
    noise = (tables.sum(-2) - problems.v).clamp(min=-bound, max=bound)
    noise[..., 0] = 0
    distance = basis.coordinates(values) - problems.k0 - coordinates_of(basis, noise)
    multiplier = off[..., 2:, :].sum(-2) / (2 * problems.metric * step)
    y = torch.stack((transforms.zeta_adjoint(multiplier), transforms.or_zeta_adjoint(multiplier)), dim=-2)
    y[..., 0] = 0
    return values - basis.to_dual(distance), basis.coordinates(y)


def halve_singletons_(x: Tensor) -> Tensor:
    """Make the AND and OR effects of each single player equal, in place; x has the shape (..., 2, 2**n).

    Both are the same function, so the values do not change, and the norm becomes as small as possible.
    """
    single = orders(players_of(x), x.device) == 1
    x[..., single] = x[..., single].mean(-2, keepdim=True)
    return x


def even_split(v: Tensor) -> Tensor:
    """AND and OR interactions, (..., 2, 2**n), of one half of each table; v(0) = 0."""
    x = torch.stack((transforms.moebius(v / 2), transforms.or_moebius(v / 2)), dim=-2)
    x[..., 0] = 0
    return x


def coordinates_of(basis: Basis, v: Tensor) -> Tensor:
    """The coordinates that all splits of a table with v(0) = 0 have in common."""
    return basis.coordinates(even_split(v))


def advance(problems: Problems, z: Tensor, steps: int) -> Tensor:
    """Iterates after more steps, float32 or float64; z may be changed in place.

    Parameters
    ----------
    problems : Problems
        The problems.
    z : Tensor
        Iterates (problems, models, 2, 2**n), or 4 instead of 2 with noise.
    steps : int
        Number of steps.

    Returns
    -------
    Tensor
        In the shape of `z`.
    """
    kernels = compiled_for(z, "bequeath.lattice.exact.iteration_kernels")
    if kernels is None:
        for _ in range(steps):
            z = _step(problems, z)
        return z
    basis, z = problems.basis, z.contiguous()

    def array(values: Tensor | float | tuple[Any, ...]) -> Any:
        return torch.as_tensor(values, dtype=torch.float64).to(z.dtype).numpy()[()]

    moving = z.numpy()
    scales = [array(c) for c in (problems.step, problems.ridge, problems.coupling, _RELAXATION)]
    if problems.noise is None:
        u, v = basis.rotate_and, basis.rotate_or
        tilt = torch.empty(0, 0, 0, 0) if problems.tilt is None else problems.tilt
        given = [array(problems.k0), array(tilt)]
        constants = [array(c) for c in (basis.weight_and, basis.weight_or, basis.empty, u, v, transposed(v))]
        kernel = kernels.exact
    else:
        sigma, metric = _scales(players_of(z), z.device), problems.metric
        sigmas = torch.stack((sigma, -sigma))
        given = [array(problems.v), array(problems.noise)]
        constants = [array(c) for c in (metric, sigmas, 1 / (metric * sigmas.square() + 1), *_turns())]
        kernel = kernels.noisy
    in_threads(
        lambda first, last: kernel(moving, *given, *scales, steps, first, last, *constants),
        len(z),
        entries=steps * z[0].numel(),
    )
    return z


def _step(problems: Problems, z: Tensor) -> Tensor:
    step = problems.step[:, None, None, None].to(z.dtype)
    shrink = 1 / (1 + problems.ridge[:, None, None, None].to(z.dtype) * step)
    if problems.noise is None:
        basis = problems.basis
        x = z - basis.to_dual(basis.coordinates(z) - problems.k0.to(z.dtype))
        reflected = 2 * x - z
        if problems.tilt is not None:
            reflected += step * problems.tilt.to(z.dtype)
        return z + _RELAXATION * (prox(reflected, step, problems.coupling, dim=1) * shrink - x)
    x = z - _off_graph(z, problems.metric)
    reflected = 2 * x - z
    values, tables = reflected.tensor_split(2, dim=-2)
    empty = values[..., 1, 0].clone()
    values[..., 0] = 0
    bound = problems.noise[..., None].to(z.dtype)
    excess = tables.sum(-2) - problems.v.to(z.dtype)
    excess -= excess.clamp(min=-bound, max=bound)
    tables = tables - excess[..., None, :] / 2
    tables[..., 0] = 0
    values = prox(values, step, problems.coupling, dim=1) * shrink
    # OR of the empty set is no interaction, so it is not penalised.
    values[..., 1, 0] = empty
    return z + _RELAXATION * (torch.cat((values, tables), dim=-2) - x)


def _turns() -> tuple[Matrix, tuple[Matrix, Matrix]]:
    """Rotations Y and (R of AND, R of OR): for one bit, the map is Y diag(1 / golden, -golden) R', negated for OR."""
    cosine, sine = golden_angle()
    return ((cosine, -sine), (sine, cosine)), (
        ((sine, cosine), (cosine, -sine)),
        ((cosine, -sine), (sine, cosine)),
    )


@lru_cache(maxsize=16)
def _scales(n: int, device: torch.device) -> Tensor:
    """Products of the eigenvalues 1 / golden and -golden of [[0, 1], [1, -1]], shape (2**n,)."""
    golden = (1 + 5**0.5) / 2
    scales = torch.ones(1, dtype=torch.float64, device=device)
    for _ in range(n):
        scales = torch.cat([scales / golden, -scales * golden])
    return scales


def _off_graph(z: Tensor, metric: float) -> Tensor:
    """z minus its projection onto {(interactions, tables): interactions = map(tables)}, for AND and for OR."""
    sigma = _scales(players_of(z), z.device).to(z.dtype)
    y, rs = _turns()
    off = torch.empty_like(z)
    for i, scale in enumerate((sigma, -sigma)):
        alpha = kronecker_power(z[..., i, :], transposed(y))
        mu = kronecker_power(z[..., 2 + i, :], transposed(rs[i]))
        on = (metric * scale * alpha + mu) / (metric * scale.square() + 1)
        off[..., i, :] = kronecker_power(alpha - scale * on, y)
        off[..., 2 + i, :] = kronecker_power(mu - on, rs[i])
    return off
