"""The two phases of the solver: `Settle` solves the ridge problem, `Certify` bounds the plain problem.

Both have the same contract. `init_state` makes the state. `run` iterates; it gives the solutions of an iterate to the
`update` of the phase, which keeps the best ones in the state, until the phase is `done` for all problems.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.lattice.exact import newton
from bequeath.lattice.exact.duality import lower_bound, objective_of, ridge_gap
from bequeath.lattice.exact.iteration import Problems, advance, point_at, solution_at

# Certificates are computed after 0, 32, 64, ... iterations, later whenever the number has grown by a quarter.
_CHECK_EVERY = 32
# For a gap below _FINE the first checks come later, because one check takes as long as hundreds of iterations.
_CHECK_RARELY, _FINE = 512, 1e-7


@dataclass(frozen=True)
class State:
    """The best solution of each problem so far; updated in place. Axis 0 is the axis of problems.

    Attributes
    ----------
    best : Tensor
        The best split, shape (problems, models, 2, 2**n).
    duals : Tensor
        Coordinates of its dual vector, shape (problems, models, 2**n).
    objective, bound : Tensor
        Shape (problems,): f(best), and the best lower bound on f of all splits.
    reached : Tensor
        Shape (problems,): relative duality gap of `best` as a solution of the ridge problem.
    iterations : Tensor
        Shape (problems,), int64, on the CPU: number of iterations.
    """

    best: Tensor
    duals: Tensor
    objective: Tensor
    bound: Tensor
    reached: Tensor
    iterations: Tensor

    def keep(self, rows: Tensor, better: Tensor, x: Tensor, k: Tensor) -> Tensor:
        """Replace the solutions of the problems in `rows` that are `better`. Returns these problems."""
        kept = rows[better]
        self.best[kept], self.duals[kept] = x[better], k[better]
        return kept

    def raise_bound(self, rows: Tensor, low: Tensor) -> None:
        """Raise the lower bounds of the problems in `rows` to `low`, if these are higher."""
        self.bound[rows] = torch.maximum(self.bound[rows], low)


def init_state(x: Tensor, duals: Tensor) -> State:
    """The state before the first check. It keeps both tensors and changes them in place."""
    unknown = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    spent = torch.zeros(len(x), dtype=torch.int64)
    return State(x, duals, unknown, torch.zeros_like(unknown), unknown.clone(), spent)


@dataclass(frozen=True)
class Phase(ABC):
    """A phase of the solver: its problems, and when they are solved."""

    problems: Problems
    max_iterations: int

    @abstractmethod
    def update(self, state: State, rows: Tensor, x: Tensor, k: Tensor) -> None:
        """Update the state of the problems in `rows` by splits x with dual coordinates k."""

    @abstractmethod
    def done(self, state: State, rows: Tensor) -> Tensor:
        """Which of the problems in `rows` need no more iterations, bool."""

    @property
    def check_every(self) -> int:
        """Iterations between the first checks."""
        return _CHECK_EVERY


@dataclass(frozen=True)
class Settle(Phase):
    """Solve the ridge problem to a relative duality gap of `goal`, with the help of Newton's method."""

    goal: float
    watched: newton.Watch | None

    def update(self, state: State, rows: Tensor, x: Tensor, k: Tensor) -> None:
        gap, y = self._measure(state, rows, x, k)
        watched = self.watched
        if watched is None:
            return
        spent = state.iterations[rows] + watched.used[rows]
        ready = watched.ready(rows, y, spent) & (gap > self.goal)
        if bool(ready.any()):
            near = rows[ready]
            better = newton.finish(
                self.problems, watched, near, x[ready], k[ready], self.goal, spent[ready], self.max_iterations
            )
            self._measure(state, near, *better)

    def _measure(self, state: State, rows: Tensor, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the solutions that are the best so far. Returns the gaps and dual vectors of all."""
        problems = self.problems.rows(rows)
        low, y = lower_bound(problems, k)
        gap = ridge_gap(problems, x, k, y)
        state.raise_bound(rows, low)
        better = gap <= state.reached[rows]
        kept = state.keep(rows, better, x, k)
        state.reached[kept] = gap[better]
        state.objective[kept] = objective_of(problems.rows(better), x[better])
        return gap, y

    def done(self, state: State, rows: Tensor) -> Tensor:
        return state.reached[rows] <= self.goal

    @property
    def check_every(self) -> int:
        if self.watched is None or self.goal >= _FINE:
            return _CHECK_EVERY
        return min(max(self.problems.v.shape[-1] // 2, _CHECK_EVERY), _CHECK_RARELY)


@dataclass(frozen=True)
class Certify(Phase):
    """Raise the lower bound of the plain problem to a relative duality gap of `tol`; with `improve`, the solution too.

    `enough`, shape (problems,), is an objective at which a problem stops whatever its gap; `scale` is its unit.
    """

    tol: float
    improve: bool
    scale: Tensor
    enough: Tensor | None

    def update(self, state: State, rows: Tensor, x: Tensor, k: Tensor) -> None:
        problems = self.problems.rows(rows)
        low, _ = lower_bound(problems, k)
        state.raise_bound(rows, low)
        if self.improve:
            value = objective_of(problems, x)
            better = value < state.objective[rows]
            kept = state.keep(rows, better, x, k)
            state.objective[kept] = value[better]

    def done(self, state: State, rows: Tensor) -> Tensor:
        value = state.objective[rows]
        done = value.isfinite() & (value - state.bound[rows] <= self.tol * value)
        return done if self.enough is None else done | (self.scale[rows] * value <= self.enough[rows])


def run(phase: Phase, state: State, precision: torch.dtype) -> None:
    """Iterate in the given precision from the best solutions; problems leave the batch when they are done.

    Checks are always in float64.
    """
    rows = torch.arange(len(state.best), device=state.best.device)
    rows = rows[~phase.done(state, rows)]
    z = point_at(phase.problems, state.best, state.duals)[rows].to(precision)
    problems = phase.problems.rows(rows)
    iteration = 0
    while len(rows):
        phase.update(state, rows, *solution_at(problems, z.double()))
        done = phase.done(state, rows)
        if iteration == phase.max_iterations or bool(done.all()):
            break
        if bool(done.any()):
            problems, z, rows = problems.rows(~done), z[~done], rows[~done]
        steps = min(max(phase.check_every, iteration // 4), phase.max_iterations - iteration)
        z = advance(problems, z, steps)
        state.iterations[rows.cpu()] += steps
        iteration += steps
