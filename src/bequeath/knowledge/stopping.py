"""When to stop a training run: whether its additions become less reliable, and whether held-out accuracy falls.

Source: docs/method.md, section "Claims" (F4).
"""

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
    """Reliability of the additions and accuracy of one run over its checkpoints.

    Attributes
    ----------
    added : tuple of Kind
        The interactions that each checkpoint added to the one before it; the first checkpoint has no entry.
    falls : tuple of Estimate or None
        Reliability of each addition minus that of the most reliable addition before it; None for the first addition.
    turns : int or None
        Step of the last checkpoint before the first addition that is clearly less reliable than an earlier one (the
        interval of the difference lies below 0); None if there is none. Each addition is tested separately, so one of
        many may be significant by chance.
    best : int
        Step of the most accurate checkpoint; the earliest of equal ones.
    fall : Estimate
        Accuracy of the most accurate checkpoint minus accuracy of the last one, over the same samples. The most
        accurate checkpoint was selected, so this is biased upwards.
    """

    added: tuple[Kind, ...]
    falls: tuple[Estimate | None, ...]
    turns: int | None
    best: int
    fall: Estimate


def stopping(turnover: Turnover, correct: Sequence[ArrayLike]) -> Stopping:
    """Judge when one training run should have stopped.

    Parameters
    ----------
    turnover : Turnover
        Of one run (one seed).
    correct : sequence of array_like
        For each checkpoint: 1 or 0 for each of the same held-out samples, (samples,).

    Returns
    -------
    Stopping

    Raises
    ------
    BequeathError
        If `correct` has another number of checkpoints than `turnover`.
    """
    steps = turnover.steps.tolist()
    if len(correct) != len(steps):
        raise BequeathError(f"correct: {len(correct)} checkpoints given; give the {len(steps)} of the run")
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
    accuracies = [float(np.asarray(answers, np.float64).mean()) for answers in correct]
    top = int(np.argmax(accuracies))
    return Stopping(
        tuple(added), tuple(falls), turns, steps[top], paired_difference(correct[top], correct[-1])
    )
