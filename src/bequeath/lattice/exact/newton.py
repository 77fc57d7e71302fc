"""Newton's method for the ridge problem: it ends what the iteration has begun, once that has nearly found the answer.

The dual of the ridge problem is piecewise quadratic: where the entries with |y| > 1, the active ones, stay the same, it
is a quadratic, and its matrix is applied at the cost of one iteration. Conjugate gradients solve one piece to the last
digit in about 2**n products; what takes time is to find the right piece. The iteration is good at that and slow at the
rest, so it is watched: when few entries still become active or inactive, Newton takes over. (docs/decomposition.md)
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
# Newton needs about a step, 2**n products, for every entry that is wrong, and so many more; entries that changed since
# the last check stand for those.
_MORE_STEPS = 2
# It is tried when it should cost at most so many times the iterations spent, and given up at _BUDGET times these: the
# changed entries may be a small part of the wrong ones.
_WORTH, _BUDGET = 1.5, 6.0
# After a failure it is tried again once so many times the iterations have been spent.
_AGAIN = 1.5


@dataclass(frozen=True)
class Watch:
    """What the checks have seen of each problem, and Newton's share of the work; kept up to date in place.

    Attributes
    ----------
    active : Tensor
        Shape (problems, 2, 2**n), int8: the signs of the active entries at the last check.
    failed : Tensor
        Shape (problems,), int64: iterations that had been spent when Newton last failed.
    used : Tensor
        Shape (problems,), int64: products that Newton took.
    """

    active: Tensor
    failed: Tensor
    used: Tensor

    def ready(self, rows: Tensor, y: Tensor, spent: Tensor) -> Tensor:
        """Note the dual vectors of some problems, shape (rows, 1, 2, 2**n); which seem near enough to be finished?"""
        now = ((y > 1).to(torch.int8) - (y < -1).to(torch.int8)).squeeze(1)
        changed = (now != self.active[rows]).sum((-1, -2))
        self.active[rows] = now
        products = (changed + _MORE_STEPS) * y.shape[-1]
        return (products <= _WORTH * spent) & (spent >= _AGAIN * self.failed[rows])


def watch(problems: Problems) -> Watch | None:
    """A watch over problems that Newton can finish: one model each, no noise, on a CPU with compiled kernels."""
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
    """Better splits x and dual coordinates k of some of the ridge problems.

    `goal` is the relative duality gap to reach. Where that fails, they are the best ones seen, and may be no better
    than those given. `most` is how many products Newton may take of a problem in all.
    """
    kernels = compiled_for(k, _KERNELS)
    assert kernels is not None, "watch says where it can be used"
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
