"""Reads the interactions of the models' retests."""

from __future__ import annotations

from collections.abc import Sequence

from bequeath.lattice.gaps import with_gaps
from bequeath.lattice.interactions import Interactions
from bequeath.study.loading.plan import Checkpoint
from bequeath.study.store.store import DONE, Store


def read_retests(
    store: Store, checkpoints: Sequence[Checkpoint], samples: Sequence[int]
) -> dict[str, Interactions]:
    """Read the interactions of the equivalent game, by model.

    Parameters
    ----------
    store : Store
    checkpoints : sequence of Checkpoint
        All checkpoints of the store.
    samples : sequence of int
        Positions of the compared samples in the store. They are the axis of the readings; a sample without a retest
        has NaN in all numbers.
    """
    readings = {}
    for row, checkpoint in enumerate(checkpoints):
        if not checkpoint.retest:
            continue
        done = store.asked("interactions", row) & (store.state("interactions", row) == DONE)
        positions = [i for i, sample in enumerate(samples) if done[sample]]
        if positions:
            reading = store.interactions(row, [samples[i] for i in positions])
            readings[checkpoint.model] = with_gaps(reading, positions, len(samples))
    return readings
