"""Is everything in a run's folder whole, and does it hold what it must?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bequeath.errors import BequeathError
from bequeath.study.config.decomposition import allowance
from bequeath.study.store.carry import STORE
from bequeath.study.store.store import DONE, Store

# By bytes of an entry: far above rounding, far below any effect that is told.
_TOLERANCE = {8: 1e-9, 4: 1e-4}
_SLACK = 1e-3


@dataclass(frozen=True)
class Verified:
    """What was read and checked."""

    tables: int
    interactions: int
    deviation: float
    """Largest deviation of interactions from their table beyond the noise allowance, over all masks, of the table's
    largest absolute value; of sparse readings, that of v(N) from terms, constant and residual together."""
    gap: float
    """Largest relative duality gap (of sparse readings: of the lasso); 0 where the decomposition is a closed form."""


def verify(folder: Path) -> Verified:
    """Read every array of a run, one checkpoint at a time.

    Raises
    ------
    BequeathError
        If a chunk is damaged, naming its file, or interactions do not add up to their tables.
    """
    store = Store.open(folder / STORE, "r")
    names, shown = store.names("checkpoint"), torch.from_numpy(store.shown) if store.sparse else None
    noise = allowance(store.identity["decomposition"])
    tables = interactions = 0
    deviation = gap = 0.0
    for checkpoint in range(store.shape[0]):
        there = np.flatnonzero(store.state("table", checkpoint) == DONE).tolist()
        taken = np.flatnonzero(store.state("interactions", checkpoint) == DONE).tolist()
        for sample in there:
            if not store.tables(checkpoint, [sample]).isfinite().all():
                raise BequeathError(
                    f"{store.path}: the table of checkpoint {names[checkpoint]}, sample "
                    f"{store.names('sample')[sample]} is marked as done but is not finite"
                )
        tables += len(there)
        if taken:
            found = store.interactions(checkpoint, taken)
            table = store.tables(checkpoint, taken)
            scale = table.abs().max().clamp(min=1e-300).item()
            total = table[:, store.full] - table[:, 0]
            if shown is None:
                # What the noise allowance lets them miss is no fault, but for the solver's own rounding.
                missed = (found.reconstruct() - table).abs() - (1 + _SLACK) * noise * total.abs()[:, None]
            else:
                # Sparse readings say what they leave of v(N).
                left = table[:, store.full] - found.reconstruct(shown[store.full][None])[:, 0]
                missed = (left - found.residual).abs()
            off = missed.max().clamp(min=0).item() / scale
            if not off <= _TOLERANCE[store.itemsize]:
                raise BequeathError(
                    f"{store.path}: interactions of checkpoint {names[checkpoint]} do not add up "
                    f"to their tables: they are off by {off:.1g} of the largest value"
                )
            deviation = max(deviation, off)
            interactions += len(taken)
            if found.certificate is not None:
                gap = max(gap, found.certificate.gap.max().item())
        if store.state("accuracy", checkpoint).all():
            store.correct(checkpoint)
    return Verified(tables, interactions, deviation, gap)
