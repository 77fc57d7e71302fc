"""The run's arrays: one Zarr group, readable with plain xarray, written chunk by chunk.

Every (checkpoint, sample) is a chunk of its own with a checksum, so workers write without locks. Apart from the data,
and after it has reached the disk, the one process that leads the run marks it as done: a run killed at any moment loses
at most the tables in flight. Format: docs/run-format.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch import Tensor, nn

from bequeath.errors import BequeathError, first_line
from bequeath.lattice.interactions import Certificate, Interactions
from bequeath.study.config.decomposition import is_certified
from bequeath.study.store import terms
from bequeath.study.store.arrays import Arrays, to_disk
from bequeath.study.store.layout import FIELDS, FORMAT, Axes, make_group
from bequeath.study.store.retested import retested

Stage = Literal["table", "accuracy", "interactions", "bounds"]
STAGES: tuple[Stage, ...] = get_args(Stage)
# What is kept of each stage.
_ARRAYS: dict[Stage, tuple[str, ...]] = {
    "table": ("table",),
    "accuracy": ("correct",),
    "interactions": ("interactions",),
    "bounds": ("bounds",),
}
_SPARSE_ARRAYS = ("interactions", "terms")
DONE, FAILED = 1, 2


class Store(Arrays):
    """Tables, interactions and accuracies of a run; open one with `create` or `open`."""

    def __init__(self, path: Path, group: zarr.Group) -> None:
        super().__init__(path, group)
        self.identity: dict[str, Any] = dict(group.attrs["identity"])  # type: ignore[arg-type]
        self._certified = is_certified(self.identity["decomposition"]["kind"])
        self.sparse = self.identity["masks"] is not None
        self._of_stage = _ARRAYS | ({"interactions": _SPARSE_ARRAYS} if self.sparse else {})
        self._retested = retested(self.identity)

    @classmethod
    def create(
        cls,
        path: Path,
        axes: Axes,
        identity: dict[str, Any],
        dtype: Literal["float32", "float64"] = "float64",
    ) -> Store:
        """Make the group; `identity` is what its numbers depend on (`bequeath.study.store.identity`)."""
        return cls(path, make_group(path, axes, identity, dtype))

    @classmethod
    def open(cls, path: Path, mode: Literal["r", "r+"] = "r+") -> Store:
        """Open a run's arrays.

        Raises
        ------
        BequeathError
            If they are not such arrays, or of another version, or damaged.
        """
        try:
            group = zarr.open_group(path, mode=mode, zarr_format=3)
        except Exception as error:
            raise BequeathError(
                f"{path}: not a table store ({first_line(error)}); choose another --out, or remove it: then all is "
                "computed anew"
            ) from None
        if group.attrs.get("format") != FORMAT:
            raise BequeathError(
                f"{path}: made by something else or another version, or not finished; choose another --out"
            )
        try:
            store = cls(path, group)
            room = store.array("table").shape[-1]
            whole = not store.sparse or 2 <= store.wanted <= room
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BequeathError):
                raise
            whole = False
        if not whole:
            raise BequeathError(
                f"{path / 'zarr.json'}: damaged: it does not say what the arrays are of; choose another --out, or "
                f"remove {path}: then all is computed anew"
            )
        arrays = [name for names in store._of_stage.values() for name in names]
        for name in (*arrays, "certificate", *(f"{stage}_done" for stage in STAGES)):
            store.array(name)
        return store

    @property
    def shape(self) -> tuple[int, int, int]:
        """Checkpoints, samples, entries of a table that are wanted now."""
        c, s, size = self.array("table").shape
        return c, s, self.wanted if self.sparse else size

    @property
    def full(self) -> int:
        """Where a table has v(N); v(0) is its first entry."""
        return 1 if self.sparse else -1

    # Sparse readings: of how many masks.

    @property
    def wanted(self) -> int:
        """Masks that are to be evaluated and read now; the arrays may have room for more."""
        return int(zarr.open_group(self.path, mode="r", zarr_format=3).attrs["wanted"])  # type: ignore[arg-type]

    def want(self, masks: int) -> None:
        """Say that so many masks are to be read from now on; values that are there stay."""
        for stage in ("table", "interactions"):
            for checkpoint in range(self.shape[0]):
                self.mark(stage, checkpoint, range(self.array("table").shape[1]), 0)
        self._group.attrs["wanted"] = masks

    @property
    def shown(self) -> NDArray[np.bool_]:
        """The masks of a sampled table that are wanted now: bool, (masks, players)."""
        return self.read("shown").astype(bool)[: self.wanted]

    @property
    def looks(self) -> list[dict[str, Any]]:
        """How many masks were tried, and what that gave, where their number is found on the way."""
        looks: Any = zarr.open_group(self.path, mode="r", zarr_format=3).attrs.get("looks", [])
        return list(looks)

    def keep_looks(self, looks: Sequence[Mapping[str, Any]]) -> None:
        """Keep them."""
        self._group.attrs["looks"] = [dict(look) for look in looks]

    @property
    def majority(self) -> float | None:
        """Share of the accuracy samples that belong to the largest class."""
        share: Any = self._group.attrs.get("majority")
        return None if share is None else float(share)

    @majority.setter
    def majority(self, share: float) -> None:
        if self.majority != share:
            self._group.attrs["majority"] = share

    def evaluated(self, checkpoint: int, sample: int) -> Tensor:
        """The values of a sampled table that are there, whatever is wanted now: (masks,)."""
        values = self.read("table", checkpoint, sample)
        return torch.from_numpy(values[np.isfinite(values)].astype(np.float64))

    @property
    def itemsize(self) -> int:
        """Bytes of one entry."""
        return int(self.array("table").dtype.itemsize)

    @property
    def bytes_each(self) -> tuple[int, int]:
        """Bytes before compression of one table, and of its interactions."""
        table, interactions = (
            sum(int(np.prod(self.array(name).chunks)) * self.array(name).dtype.itemsize for name in names)
            for names in (self._of_stage["table"], self._of_stage["interactions"])
        )
        return table, interactions

    def names(self, axis: str) -> list[str]:
        """Coordinates of an axis of names."""
        return [str(name) for name in self.read(axis)]

    # Marks: the leading process alone writes them.

    def asked(self, stage: Stage, checkpoint: int | None = None) -> NDArray[np.bool_]:
        """What of a checkpoint is to be done, axes as of `state`: of a retest some samples, and no accuracy."""
        some = self._retested.get(checkpoint)
        if stage == "accuracy":
            return np.array([some is None])
        return np.ones(self.array("table").shape[1], dtype=bool) if some is None else some

    def state(self, stage: Stage, checkpoint: int | None = None) -> NDArray[np.int8]:
        """Per sample of a checkpoint (bounds: of all) 0 (not yet), `DONE` or `FAILED`.

        Done means that the data are there, too, and the table that interactions belong to.
        """
        row = () if checkpoint is None else (checkpoint,)
        marks: NDArray[np.int8] = np.atleast_1d(self.read(f"{stage}_done", *row)).copy()
        # A file that was taken away, because it was damaged, is made again.
        if stage == "interactions" and self._certified and not self.file("certificate", *row).exists():
            marks[marks == DONE] = 0
        for place in np.flatnonzero(marks == DONE):
            position = row if stage == "accuracy" else (*row, int(place))
            if not self._is_there(stage, position):
                marks[place] = 0
        if stage == "interactions" and marks.any():
            marks[self.state("table", checkpoint) != DONE] = 0
        return marks

    def _is_there(self, stage: Stage, position: tuple[int, ...]) -> bool:
        if all(os.path.exists(self.file(name, *position)) for name in self._of_stage[stage]):
            return True
        # A reading without terms has no files of its own.
        return (
            self.sparse and stage == "interactions" and self.read("certificate", *position)[len(FIELDS)] == 0
        )

    def mark(self, stage: Stage, checkpoint: int | None, samples: Sequence[int], state: int) -> None:
        """Say of some samples' data (of all, for accuracies) that they are whole on the disk, or that they failed."""
        name = f"{stage}_done"
        row = () if checkpoint is None else (checkpoint,)
        marks = np.atleast_1d(self.read(name, *row)).copy()
        marks[... if stage == "accuracy" else list(samples)] = state
        self.array(name)[row or ...] = marks[0] if stage == "accuracy" else marks
        to_disk(self.file(name, *row))

    def begin_bounds(self, settings: dict[str, Any]) -> None:
        """Say how bounds are found from now on; those that were found otherwise are given up."""
        if self.bounds_settings() != settings:
            self.mark("bounds", None, range(self.shape[1]), 0)
            self._group.attrs["bounds"] = settings

    def bounds_settings(self) -> dict[str, Any] | None:
        """How bounds are found: two checkpoints and what their tables are divided by, as written last."""
        settings: Any = zarr.open_group(self.path, mode="r", zarr_format=3).attrs.get("bounds")
        return settings if isinstance(settings, dict) else None

    def write_certificates(
        self, checkpoint: int, samples: Sequence[int], values: NDArray[np.float64]
    ) -> None:
        """Certificates (samples, fields) of some samples' interactions."""
        row = self.read("certificate", checkpoint)
        row[list(samples)] = values
        self.array("certificate")[checkpoint] = row
        to_disk(self.file("certificate", checkpoint))

    # Data: any worker writes what is its own.

    def write_tables(self, checkpoint: int, samples: Sequence[int], tables: Tensor) -> None:
        """Value tables (samples, masks) of some samples, safe on the disk before they can be marked."""
        room = self.array("table").shape[-1] - tables.shape[-1]
        self._write("table", checkpoint, samples, nn.functional.pad(tables, (0, room), value=torch.nan))

    def write_interactions(self, checkpoint: int, samples: Sequence[int], interactions: Interactions) -> None:
        """Interactions of some samples, one table each."""
        if interactions.listed is None:
            self._write("interactions", checkpoint, samples, interactions.values)
            return
        room, width = self.array("terms").shape[-2:]
        packed = [terms.packed(interactions.listed, row, room, width - 1) for row in range(len(samples))]
        for name, parts in zip(_SPARSE_ARRAYS, zip(*packed, strict=True), strict=True):
            self._write(name, checkpoint, samples, torch.stack(parts))

    def write_bounds(self, samples: Sequence[int], values: Tensor) -> None:
        """Bounds (samples, bounds) of some samples' preserved share."""
        for sample, one in zip(samples, values.numpy(), strict=True):
            self.array("bounds")[sample] = one
            to_disk(self.file("bounds", sample))

    def bounds(self, samples: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """Bounds of some samples' preserved share, by name: (samples,) each."""
        values = self.read("bounds")[list(samples)]
        return dict(zip(self.names("bound"), values.T, strict=True))

    def _write(self, name: str, checkpoint: int, samples: Sequence[int], values: Tensor) -> None:
        for sample, one in zip(samples, values.numpy(), strict=True):
            self.array(name)[checkpoint, sample] = one
            to_disk(self.file(name, checkpoint, sample))

    def write_accuracy(self, checkpoint: int, correct: Tensor) -> None:
        """Whether each accuracy sample is classified correctly."""
        self.array("correct")[checkpoint] = correct.to(torch.int8).numpy()
        to_disk(self.file("correct", checkpoint))

    def tables(self, checkpoint: int, samples: Sequence[int] | slice = slice(None)) -> Tensor:
        """Some samples' tables of one checkpoint, float64: (samples, masks)."""
        return self._read_some("table", checkpoint, samples)[:, : self.shape[2]]

    def interactions(self, checkpoint: int, samples: Sequence[int] | slice = slice(None)) -> Interactions:
        """Some samples' interactions of one checkpoint, with their certificates where there are any."""
        rows = samples if isinstance(samples, slice) else list(samples)
        fields = torch.from_numpy(self.read("certificate", checkpoint)[rows])
        certificate = None
        if not bool(fields[:, : len(FIELDS)].isnan().any()):
            certificate = Certificate(fields[:, 0], fields[:, 1], fields[:, 2], fields[:, 3].long())
        offset, players = self.tables(checkpoint, samples)[:, 0], tuple(self.names("player"))
        if self.sparse:
            numbers, which = (self._read_some(name, checkpoint, samples) for name in _SPARSE_ARRAYS)
            listed = terms.unpacked(list(numbers), list(which), fields[:, len(FIELDS) :], self.wanted)
            return Interactions.of_terms(listed, offset, players, certificate)
        values = self._read_some("interactions", checkpoint, samples)
        return Interactions(values[:, 0], values[:, 1], offset, players, certificate)

    def _read_some(self, name: str, checkpoint: int, samples: Sequence[int] | slice) -> Tensor:
        if isinstance(samples, slice):
            return torch.from_numpy(self.read(name, checkpoint, samples).astype(np.float64))
        # One chunk after the other: a list of indices would be read through a slower path.
        parts = [self.read(name, checkpoint, sample) for sample in samples]
        return torch.from_numpy(np.stack(parts).astype(np.float64))

    def correct(self, checkpoint: int) -> NDArray[np.float64]:
        """1 where a checkpoint classifies an accuracy sample correctly, else 0: (accuracy samples,)."""
        return self.read("correct", checkpoint).astype(np.float64)

    def adopt(self, other: Store, stage: Stage, ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
        """Take a chunk over from another store of the same shape of chunk; marks are for the caller to set."""
        for name in self._of_stage[stage]:
            target, source = self.file(name, *ours), other.file(name, *theirs)
            if not source.exists():  # a reading without terms
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)  # chunks are replaced, never changed, so both may be the same file
            except OSError:
                target.write_bytes(source.read_bytes())
                to_disk(target)
