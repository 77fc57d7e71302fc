"""Newton's method for the ridge problem, which takes over when the iteration is close to the solution.

The dual of the ridge problem is piecewise quadratic. Call entries with |y| > 1 active. As long as the active entries
stay the same, the dual is one quadratic, and applying its matrix costs as much as one iteration. Conjugate gradients
solve one piece to the last digit in about 2**n products; the hard part is to find the right piece. The iteration finds
it fast but converges slowly afterwards. So Newton's method starts as soon as few entries still become active or
inactive (docs/decomposition.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bequeath.lattice.exact.basis import transposed
from bequeath.lattice.exact.iteration import Problems
from bequeath.lattice.kronecker import compiled_for
from bequeath.lattice.threads import in_threads

_KERNELS = "bequeath.lattice.exact.newton_kernels"
# Newton needs about one step of 2**n products for each wrong entry, and this many more. The number of wrong entries is
# estimated by the number of entries that changed since the last check.
_MORE_STEPS = 2
# It starts if its expected cost is at most _WORTH times the iterations so far, and stops at _BUDGET times these,
# because the estimate may be too low.
_WORTH, _BUDGET = 1.5, 6.0
# After a failure, it starts again when the number of iterations has grown by this factor.
_RETRY = 1.5


@dataclass(frozen=True)
class Watch:
    """State that decides when Newton's method starts for each problem; updated in place.

    Attributes
    ----------
    active : Tensor
        Shape (problems, 2, 2**n), int8: signs of the active entries at the last check.
    failed : Tensor
        Shape (problems,), int64: number of iterations when Newton last failed.
    used : Tensor
        Shape (problems,), int64: number of products that Newton has used.
    """

    active: Tensor
    failed: Tensor
    used: Tensor

    def ready(self, rows: Tensor, y: Tensor, spent: Tensor) -> Tensor:
        """Record the dual vectors of some problems, shape (rows, 1, 2, 2**n). Returns which are ready for Newton."""
        active = ((y > 1).to(torch.int8) - (y < -1).to(torch.int8)).squeeze(1)
        changed = (active != self.active[rows]).sum((-1, -2))
        self.active[rows] = active
        products = (changed + _MORE_STEPS) * y.shape[-1]
        return (products <= _WORTH * spent) & (spent >= _RETRY * self.failed[rows])


def watch(problems: Problems) -> Watch | None:
    """A watch, or None if Newton cannot be used: it needs one model, no noise or tilt, a CPU and compiled kernels."""
    count, models, size = problems.v.shape
    if models > 1 or problems.noise is not None or problems.tilt is not None:
        return None
    if compiled_for(problems.v, _KERNELS) is None:
        return None
    none = torch.zeros(count, dtype=torch.int64)
    return Watch(torch.zeros(count, 2, size, dtype=torch.int8), none, none.clone())


def finish(
    problems: Problems,
    watched: Watch,
    rows: Tensor,
    x: Tensor,
    k: Tensor,
    goal: float,
    spent: Tensor,
    most: int,
) -> tuple[Tensor, Tensor]:
    """Improve splits x and dual coordinates k of some ridge problems by Newton's method.

    Parameters
    ----------
    problems : Problems
        All problems.
    watched : Watch
        Updated in place.
    rows : Tensor
        Indices of the problems to finish.
    x, k : Tensor
        Their splits and dual coordinates.
    goal : float
        Relative duality gap to reach.
    spent : Tensor
        Iterations spent on each so far.
    most : int
        Most products for one problem in total.

    Returns
    -------
    x, k : Tensor
        The best ones found; if Newton fails, they may be no better than the given ones.
    """
    kernels = compiled_for(k, _KERNELS)
    assert kernels is not None, "watch has checked this"
    basis, x, k = problems.basis, x.clone(), k.clone()
    used = torch.zeros(len(k), dtype=torch.int64)
    budgets = torch.minimum((_BUDGET * spent).to(torch.int64), most - watched.used[rows])
    given = [t.numpy() for t in (x[:, 0], k[:, 0], problems.k0[rows, 0], problems.ridge[rows])]
    limits = [goal, budgets.numpy(), used.numpy()]
    constants = [t.numpy() for t in (basis.weight_and, basis.weight_or, basis.empty)]
    turns = [np.array(m) for m in (basis.rotate_and, basis.rotate_or, transposed(basis.rotate_or))]
    in_threads(
        lambda first, last: kernels.settle(*given, *limits, first, last, *constants, *turns),
        len(k),
        entries=int(spent.max()) * x[0].numel(),
    )
    watched.used[rows] += used
    watched.failed[rows] = spent + used
    return x, k
