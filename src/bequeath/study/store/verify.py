"""Checks that everything in a run's folder is complete and consistent."""

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

# By the bytes of an entry: far above rounding, far below any reported effect.
_TOLERANCE = {8: 1e-9, 4: 1e-4}
_SLACK = 1e-3


@dataclass(frozen=True)
class Verified:
    """The result of a check."""

    tables: int
    interactions: int
    deviation: float
    """Largest deviation of interactions from their table over all masks, beyond the noise allowance, relative to the
    table's largest absolute value. For sparse readings, the deviation of v(N) from terms, constant and residual."""
    gap: float
    """Largest relative duality gap (for sparse readings: of the lasso); 0 if the decomposition is a closed form."""
    failed: int = 0
    """Number of tables, interactions and accuracies that failed for good."""


def verify(folder: Path) -> Verified:
    """Read and check all arrays of a run, including coordinates, one checkpoint at a time, and its findings.

    Raises
    ------
    BequeathError
        If a chunk is damaged or missing (names its file and the remedy), coordinates are not those of the run, or
        interactions do not add up to their tables.
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
        with_table = np.flatnonzero(marks["table"] == DONE).tolist()
        with_interactions = np.flatnonzero(marks["interactions"] == DONE).tolist()
        for sample in with_table:
            if not store.tables(checkpoint, [sample]).isfinite().all():
                raise BequeathError(
                    f"{store.file('table', checkpoint, sample)}: the table of checkpoint {name}, sample "
                    f"{samples[sample]} is marked as done but is not finite; {MEND}"
                )
        tables += len(with_table)
        interactions += len(with_interactions)
        if with_interactions:
            largest, worst = _deviation(store, checkpoint, with_interactions)
            if not largest <= _TOLERANCE[store.itemsize]:
                files = [str(store.file(array, checkpoint, worst)) for array in ("table", "interactions")]
                raise BequeathError(
                    f"{store.path}: interactions of checkpoint {name}, sample {samples[worst]} do not add up to their "
                    f"tables: they deviate by {largest:.1g} of the largest value; remove {' and '.join(files)} and "
                    "start again: only these are computed anew"
                )
            deviation = max(deviation, largest)
            certificate = store.interactions(checkpoint, with_interactions).certificate
            if certificate is not None:
                gap = max(gap, certificate.gap.max().item())
        if (marks["accuracy"] == DONE).all() and not set(store.read("correct", checkpoint).tolist()) <= {
            0,
            1,
        }:
            raise BequeathError(
                f"{store.file('correct', checkpoint)}: holds numbers other than 0 and 1; {MEND}"
            )
    _check_bounds(store)
    if (folder / FINDINGS).exists():
        read_object(folder / FINDINGS)
    return Verified(tables, interactions, deviation, gap, failed)


def _marked(store: Store, stage: Stage, checkpoint: int | None) -> Any:
    """The marks of a stage. It is an error if data of a mark are missing; `Store.state` would only count them as not
    done."""
    row = () if checkpoint is None else (checkpoint,)
    marks = np.atleast_1d(store.read(f"{stage}_done", *row))
    if not set(marks.tolist()) <= {0, DONE, FAILED}:
        raise BequeathError(f"{store.file(f'{stage}_done', *row)}: holds marks other than 0, 1 and 2; {MEND}")
    lost = np.flatnonzero((marks == DONE) & (store.state(stage, checkpoint) != DONE))
    if len(lost):
        sample = () if stage == "accuracy" else (int(lost[0]),)
        array = {"accuracy": "correct"}.get(stage, stage)
        raise BequeathError(
            f"{store.file(array, *row, *sample)}: marked as done, but it is missing, or the table that it is made from "
            "is; start the run again: only this is computed anew"
        )
    return marks


def _deviation(store: Store, checkpoint: int, samples: list[int]) -> tuple[float, int]:
    """The largest deviation of interactions from their tables, relative to the largest value, and its sample."""
    interactions, table = store.interactions(checkpoint, samples), store.tables(checkpoint, samples)
    scale = table.abs().max().clamp(min=1e-300).item()
    deviations: Tensor
    if store.sparse:
        # Sparse readings state which part of v(N) they leave unexplained.
        shown = torch.from_numpy(store.shown)
        unexplained = table[:, store.full] - interactions.reconstruct(shown[store.full][None])[:, 0]
        deviations = (unexplained - interactions.residual).abs()
    else:
        # The noise allowance, with some slack for the solver's rounding, is not a deviation.
        noise = allowance(store.identity["decomposition"])
        total = (table[:, store.full] - table[:, 0]).abs()
        errors = (interactions.reconstruct() - table).abs()
        deviations = (errors - (1 + _SLACK) * noise * total[:, None]).amax(-1)
    deviations = deviations.nan_to_num(nan=torch.inf).clamp(min=0)
    worst = int(deviations.argmax())
    return deviations[worst].item() / scale, samples[worst]


def _check_coordinates(store: Store) -> None:
    """Refuse coordinates that do not match the identity's checkpoints, samples and masks."""
    identity, players = store.identity, len(store.names("player"))
    checkpoints = list(identity["checkpoints"])
    expected: dict[str, Any] = {
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
        expected |= {"number": list(NUMBERS), "shown": drawn.int().tolist()}
    else:
        expected |= {
            "type": list(TYPES),
            "subset": list(range(2**players)),
            "order": orders(players).tolist(),
        }
    for name, values in expected.items():
        if store.read(name).tolist() != values:
            raise _mismatch(store, name)
    for name, length in (("step", len(checkpoints)), ("label", len(expected["sample"]))):
        if store.read(name).shape != (length,) or "" in store.read(name).tolist():
            raise _mismatch(store, name)
    for name in ("player", "step", "label", *expected):
        if not store.file(name).exists():  # zarr reads a missing file as zeros
            raise _mismatch(store, name)
    shape = (len(checkpoints), len(expected["sample"]))
    if store.array("table").shape[:2] != shape:
        raise _mismatch(store, "table")


def _mismatch(store: Store, name: str) -> BequeathError:
    return BequeathError(
        f"{store.path / name}: does not match the run; start the run again: the file is written anew, and computed "
        "results stay"
    )


def _check_bounds(store: Store) -> None:
    marks = _marked(store, "bounds", None)
    for sample in np.flatnonzero(marks == DONE).tolist():
        values = store.read("bounds", sample)
        known = values[~np.isnan(values)]  # inner bounds are NaN if a solver did not converge
        if len(known) < 2 or not (np.isfinite(known).all() and (np.diff(known) >= -1e-9).all()):
            raise BequeathError(
                f"{store.file('bounds', sample)}: the bounds are not finite or not in increasing order; {MEND}"
            )
