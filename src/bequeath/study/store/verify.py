"""Is everything in a run's folder whole, and does it hold what it must?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.identifiability import BOUNDS
from bequeath.lattice.interactions import TYPES
from bequeath.lattice.sparse.masks import draw_masks
from bequeath.lattice.subsets import orders
from bequeath.study.config.decomposition import allowance
from bequeath.study.store.arrays import MEND
from bequeath.study.store.carry import STORE
from bequeath.study.store.folder import FINDINGS, read_object
from bequeath.study.store.layout import FIELDS, NUMBERS, QUANTITIES
from bequeath.study.store.store import DONE, FAILED, STAGES, Stage, Store

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
    failed: int = 0
    """What the run gave up: tables, interactions and accuracies."""


def verify(folder: Path) -> Verified:
    """Read every array of a run, coordinates too, one checkpoint at a time, and its findings.

    Raises
    ------
    BequeathError
        If a chunk is damaged or missing, naming its file and what mends it; if coordinates are not those of the run,
        or interactions do not add up to their tables.
    """
    if not (folder / STORE).is_dir():
        raise BequeathError(f"{folder}: no {STORE}; give the folder of a run")
    store = Store.open(folder / STORE, "r")
    _check_coordinates(store)
    names, samples = store.names("checkpoint"), store.names("sample")
    tables = interactions = failed = 0
    deviation = gap = 0.0
    for checkpoint, name in enumerate(names):
        marks = {stage: _marked(store, stage, checkpoint) for stage in STAGES if stage != "bounds"}
        failed += sum(int((state == FAILED).sum()) for state in marks.values())
        there = np.flatnonzero(marks["table"] == DONE).tolist()
        taken = np.flatnonzero(marks["interactions"] == DONE).tolist()
        for sample in there:
            if not store.tables(checkpoint, [sample]).isfinite().all():
                raise BequeathError(
                    f"{store.file('table', checkpoint, sample)}: the table of checkpoint {name}, sample "
                    f"{samples[sample]} is marked as done but is not finite; {MEND}"
                )
        tables += len(there)
        interactions += len(taken)
        if taken:
            off, worst = _deviation(store, checkpoint, taken)
            if not off <= _TOLERANCE[store.itemsize]:
                files = [str(store.file(array, checkpoint, worst)) for array in ("table", "interactions")]
                raise BequeathError(
                    f"{store.path}: interactions of checkpoint {name}, sample {samples[worst]} do not add up to their "
                    f"tables: they are off by {off:.1g} of the largest value; remove {' and '.join(files)} and start "
                    "again: only these are computed anew"
                )
            deviation = max(deviation, off)
            certificate = store.interactions(checkpoint, taken).certificate
            if certificate is not None:
                gap = max(gap, certificate.gap.max().item())
        if (marks["accuracy"] == DONE).all() and not set(store.read("correct", checkpoint).tolist()) <= {
            0,
            1,
        }:
            raise BequeathError(
                f"{store.file('correct', checkpoint)}: holds other numbers than 0 and 1; {MEND}"
            )
    _check_bounds(store)
    if (folder / FINDINGS).exists():
        read_object(folder / FINDINGS)
    return Verified(tables, interactions, deviation, gap, failed)


def _marked(store: Store, stage: Stage, checkpoint: int | None) -> Any:
    """What is marked, each with its data there: what was taken away since is told, not passed over."""
    row = () if checkpoint is None else (checkpoint,)
    marks = np.atleast_1d(store.read(f"{stage}_done", *row))
    if not set(marks.tolist()) <= {0, DONE, FAILED}:
        raise BequeathError(f"{store.file(f'{stage}_done', *row)}: holds other marks than 0, 1 and 2; {MEND}")
    lost = np.flatnonzero((marks == DONE) & (store.state(stage, checkpoint) != DONE))
    if len(lost):
        place = () if stage == "accuracy" else (int(lost[0]),)
        array = {"accuracy": "correct"}.get(stage, stage)
        raise BequeathError(
            f"{store.file(array, *row, *place)}: marked as done, and not there, or what it is made of is not; start "
            "the run again: only that is computed anew"
        )
    return marks


def _deviation(store: Store, checkpoint: int, samples: list[int]) -> tuple[float, int]:
    """How far interactions are from adding up to their tables, of the largest value, and in which sample most."""
    found, table = store.interactions(checkpoint, samples), store.tables(checkpoint, samples)
    scale = table.abs().max().clamp(min=1e-300).item()
    missed: Tensor
    if store.sparse:
        # Sparse readings say what they leave of v(N).
        shown = torch.from_numpy(store.shown)
        left = table[:, store.full] - found.reconstruct(shown[store.full][None])[:, 0]
        missed = (left - found.residual).abs()
    else:
        # What the noise allowance lets them miss is no fault, but for the solver's own rounding.
        noise = allowance(store.identity["decomposition"])
        total = (table[:, store.full] - table[:, 0]).abs()
        missed = ((found.reconstruct() - table).abs() - (1 + _SLACK) * noise * total[:, None]).amax(-1)
    missed = missed.nan_to_num(nan=torch.inf).clamp(min=0)
    worst = int(missed.argmax())
    return missed[worst].item() / scale, samples[worst]


def _check_coordinates(store: Store) -> None:
    """Refuse coordinates that are not what the identity says of checkpoints, samples and masks."""
    identity, players = store.identity, len(store.names("player"))
    checkpoints = list(identity["checkpoints"])
    wanted: dict[str, Any] = {
        "checkpoint": checkpoints,
        "model": [name.split("/")[0] for name in checkpoints],
        "sample": list(identity["samples"]),
        "bound": list(BOUNDS),
        "field": list(FIELDS + QUANTITIES if store.sparse else FIELDS),
    }
    if store.sparse:
        design, share = identity["game"]["masks"]
        rows = store.array("table").shape[-1]
        drawn = draw_masks(players, rows, design, shown=share, seed=identity["game"]["seed"])
        wanted |= {"number": list(NUMBERS), "shown": drawn.int().tolist()}
    else:
        wanted |= {"type": list(TYPES), "subset": list(range(2**players)), "order": orders(players).tolist()}
    for name, values in wanted.items():
        if store.read(name).tolist() != values:
            raise _other(store, name)
    for name, length in (("step", len(checkpoints)), ("label", len(wanted["sample"]))):
        if store.read(name).shape != (length,) or "" in store.read(name).tolist():
            raise _other(store, name)
    for name in ("player", "step", "label", *wanted):
        if not store.file(name).exists():  # what is not there reads as zeros
            raise _other(store, name)
    shape = (len(checkpoints), len(wanted["sample"]))
    if store.array("table").shape[:2] != shape:
        raise _other(store, "table")


def _other(store: Store, name: str) -> BequeathError:
    return BequeathError(
        f"{store.path / name}: not what the run is of; start the run again: it is written anew, and what was computed "
        "stays"
    )


def _check_bounds(store: Store) -> None:
    marks = _marked(store, "bounds", None)
    for sample in np.flatnonzero(marks == DONE).tolist():
        values = store.read("bounds", sample)
        given = values[~np.isnan(values)]  # inner ones are not given where a solve did not converge
        if len(given) < 2 or not (np.isfinite(given).all() and (np.diff(given) >= -1e-9).all()):
            raise BequeathError(
                f"{store.file('bounds', sample)}: no bounds, each above the one before; {MEND}"
            )
