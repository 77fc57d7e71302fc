"""What the models' retests read, beside their own readings."""

from __future__ import annotations

from collections.abc import Sequence

from bequeath.lattice.gaps import with_gaps
from bequeath.lattice.interactions import Interactions
from bequeath.study.loading.plan import Checkpoint
from bequeath.study.store.store import DONE, Store


def read_retests(
    store: Store, checkpoints: Sequence[Checkpoint], samples: Sequence[int]
) -> dict[str, Interactions]:
    """Readings of the equivalent game, by name of the models that have any.

    Parameters
    ----------
    store : Store
    checkpoints : sequence of Checkpoint
        The store's, all of them.
    samples : sequence of int
        Positions in the store: the axis of the readings, (samples,). A sample without a retest has NaN in all numbers.
    """
    found = {}
    for row, checkpoint in enumerate(checkpoints):
        if not checkpoint.retest:
            continue
        done = store.asked("interactions", row) & (store.state("interactions", row) == DONE)
        places = [place for place, sample in enumerate(samples) if done[sample]]
        if places:
            read = store.interactions(row, [samples[place] for place in places])
            found[checkpoint.model] = with_gaps(read, places, len(samples))
    return found
