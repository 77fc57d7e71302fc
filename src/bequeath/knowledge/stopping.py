"""When to stop a training run: does what it adds become less reliable, and does held-out accuracy fall? (METHOD F4)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bequeath.errors import BequeathError
from bequeath.knowledge.paired import paired_difference
from bequeath.knowledge.statistics import Estimate
from bequeath.knowledge.turnover import Kind, Turnover


@dataclass(frozen=True)
class Stopping:
    """One run over its checkpoints, of which the first has nothing added.

    Attributes
    ----------
    added : tuple of Kind
        What each checkpoint but the first added to the one before.
    falls : tuple of Estimate or None
        Reliability of what was added less that of the most reliable addition before; None for the first addition.
    turns : int or None
        Step of the last checkpoint before an addition that is clearly less reliable than one before (the interval of
        the difference lies below 0); None where there is none. Each addition is tested by itself: of many, one may be
        called so by chance.
    best : int
        Step of the most accurate checkpoint; the earliest of equals.
    fall : Estimate
        Accuracy of the most accurate checkpoint less that of the last one, over the same samples. It is chosen as the
        best, so this is rather too large than too small.
    """

    added: tuple[Kind, ...]
    falls: tuple[Estimate | None, ...]
    turns: int | None
    best: int
    fall: Estimate


def stopping(turnover: Turnover, correct: Sequence[ArrayLike]) -> Stopping:
    """Of one run.

    Parameters
    ----------
    turnover : Turnover
        Of one seed's run.
    correct : sequence of array_like
        Of each checkpoint, 1 or 0 for each of the same held-out samples, (samples,).

    Raises
    ------
    BequeathError
        If there are answers of another number of checkpoints.
    """
    steps = turnover.steps.tolist()
    if len(correct) != len(steps):
        raise BequeathError(f"correct: of {len(correct)} checkpoints; the run has {len(steps)}")
    added = [turnover.between("added", transition) for transition in range(len(steps) - 1)]
    falls: list[Estimate | None] = [None]
    turns, best = None, 0
    for transition in range(1, len(added)):
        # A checkpoint that adds nothing has no reliability.
        if not np.isfinite(added[best].reliability.mean):
            best = transition - 1
        fall = turnover.falls("added", transition, best)
        falls.append(fall)
        if turns is None and fall.high < 0:
            turns = steps[transition]
        if added[transition].reliability.mean > added[best].reliability.mean:
            best = transition
    accuracies = [float(np.asarray(one, np.float64).mean()) for one in correct]
    top = int(np.argmax(accuracies))
    return Stopping(
        tuple(added), tuple(falls), turns, steps[top], paired_difference(correct[top], correct[-1])
    )
