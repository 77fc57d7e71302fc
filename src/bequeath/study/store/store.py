"""A run's arrays: one Zarr group, readable with plain xarray, written chunk by chunk.

Each (checkpoint, sample) is its own chunk with a checksum, so workers write without locks. Once data are safe on the
disk, the leading process marks them as done in other arrays. A run that is killed therefore loses only the work in
progress. Format: docs/run-format.md.
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
# The arrays of each stage.
_ARRAYS: dict[Stage, tuple[str, ...]] = {
    "table": ("table",),
    "accuracy": ("correct",),
    "interactions": ("interactions",),
    "bounds": ("bounds",),
}
_SPARSE_ARRAYS = ("interactions", "terms")
DONE, FAILED = 1, 2


class Store(Arrays):
    """Tables, interactions and accuracies of a run. Use `create` or `open`."""

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
        """Make a new group; `identity` is everything that the results depend on (`bequeath.study.store.identity`)."""
        return cls(path, make_group(path, axes, identity, dtype))

    @classmethod
    def open(cls, path: Path, mode: Literal["r", "r+"] = "r+") -> Store:
        """Open a run's arrays.

        Raises
        ------
        BequeathError
            If they are not a run's arrays, of another version, or damaged.
        """
        try:
            group = zarr.open_group(path, mode=mode, zarr_format=3)
        except Exception as error:
            raise BequeathError(
                f"{path}: not a run's arrays ({first_line(error)}); choose another --out, or remove it: everything is "
                "then computed anew"
            ) from None
        if group.attrs.get("format") != FORMAT:
            raise BequeathError(f"{path}: not a complete store of this version; choose another --out")
        try:
            store = cls(path, group)
            capacity = store.array("table").shape[-1]
            valid = not store.sparse or 2 <= store.wanted <= capacity
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BequeathError):
                raise
            valid = False
        if not valid:
            raise BequeathError(
                f"{path / 'zarr.json'}: damaged: the arrays' identity or size is missing; choose another --out, or "
                f"remove {path}: everything is then computed anew"
            )
        arrays = [name for names in store._of_stage.values() for name in names]
        for name in (*arrays, "certificate", *(f"{stage}_done" for stage in STAGES)):
            store.array(name)
        return store

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of checkpoints, of samples, and of a table's entries that are wanted now."""
        c, s, size = self.array("table").shape
        return c, s, self.wanted if self.sparse else size

    @property
    def full(self) -> int:
        """Index of v(N) in a table; v(0) is its first entry."""
        return 1 if self.sparse else -1

    # The number of masks of sparse readings.

    @property
    def wanted(self) -> int:
        """Number of masks that are to be evaluated and read now; the arrays may have room for more."""
        return int(zarr.open_group(self.path, mode="r", zarr_format=3).attrs["wanted"])  # type: ignore[arg-type]

    def want(self, masks: int) -> None:
        """Set the number of masks that are to be read from now on. Existing values stay."""
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
        """With masks: auto, the numbers of masks that were tried, and the results (see `Look`)."""
        looks: Any = zarr.open_group(self.path, mode="r", zarr_format=3).attrs.get("looks", [])
        return list(looks)

    def keep_looks(self, looks: Sequence[Mapping[str, Any]]) -> None:
        """Record the looks."""
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
        """All values of a sampled table that exist, regardless of how many are wanted now: (masks,)."""
        values = self.read("table", checkpoint, sample)
        return torch.from_numpy(values[np.isfinite(values)].astype(np.float64))

    @property
    def itemsize(self) -> int:
        """Bytes of one entry."""
        return int(self.array("table").dtype.itemsize)

    @property
    def bytes_each(self) -> tuple[int, int]:
        """Bytes of one table and of its interactions, before compression."""
        table, interactions = (
            sum(int(np.prod(self.array(name).chunks)) * self.array(name).dtype.itemsize for name in names)
            for names in (self._of_stage["table"], self._of_stage["interactions"])
        )
        return table, interactions

    def names(self, axis: str) -> list[str]:
        """The names along an axis."""
        return [str(name) for name in self.read(axis)]

    # Marks, which only the leading process writes.

    def asked(self, stage: Stage, checkpoint: int | None = None) -> NDArray[np.bool_]:
        """What of a checkpoint is to be done, axes as of `state`: of a retest some samples, and no accuracy."""
        retested = self._retested.get(checkpoint)
        if stage == "accuracy":
            return np.array([retested is None])
        return np.ones(self.array("table").shape[1], dtype=bool) if retested is None else retested

    def state(self, stage: Stage, checkpoint: int | None = None) -> NDArray[np.int8]:
        """The state of each sample: 0 (not done), `DONE` or `FAILED`; int8, (samples,), or (1,) for accuracies.

        A sample counts as done only if its data exist, and interactions only if their table is done, too.
        """
        row = () if checkpoint is None else (checkpoint,)
        marks: NDArray[np.int8] = np.atleast_1d(self.read(f"{stage}_done", *row)).copy()
        # Users remove damaged files; their content then counts as not done.
        if stage == "interactions" and self._certified and not self.file("certificate", *row).exists():
            marks[marks == DONE] = 0
        for sample in np.flatnonzero(marks == DONE):
            position = row if stage == "accuracy" else (*row, int(sample))
            if not self._exists(stage, position):
                marks[sample] = 0
        if stage == "interactions" and marks.any():
            marks[self.state("table", checkpoint) != DONE] = 0
        return marks

    def _exists(self, stage: Stage, position: tuple[int, ...]) -> bool:
        if all(os.path.exists(self.file(name, *position)) for name in self._of_stage[stage]):
            return True
        # A reading without terms has no files of its own.
        return (
            self.sparse and stage == "interactions" and self.read("certificate", *position)[len(FIELDS)] == 0
        )

    def mark(self, stage: Stage, checkpoint: int | None, samples: Sequence[int], state: int) -> None:
        """Mark samples as 0, `DONE` or `FAILED`. Data of done samples must already be on the disk.

        `checkpoint` is None for bounds. Accuracies are marked as a whole, whatever `samples` says.
        """
        name = f"{stage}_done"
        row = () if checkpoint is None else (checkpoint,)
        marks = np.atleast_1d(self.read(name, *row)).copy()
        marks[... if stage == "accuracy" else list(samples)] = state
        self.array(name)[row or ...] = marks[0] if stage == "accuracy" else marks
        to_disk(self.file(name, *row))

    def begin_bounds(self, settings: dict[str, Any]) -> None:
        """Set how bounds are computed from now on. Bounds with other settings are dropped."""
        if self.bounds_settings() != settings:
            self.mark("bounds", None, range(self.shape[1]), 0)
            self._group.attrs["bounds"] = settings

    def bounds_settings(self) -> dict[str, Any] | None:
        """The latest settings of the bounds: two checkpoints, the scales that divide their tables, and options."""
        settings: Any = zarr.open_group(self.path, mode="r", zarr_format=3).attrs.get("bounds")
        return settings if isinstance(settings, dict) else None

    def write_certificates(
        self, checkpoint: int, samples: Sequence[int], values: NDArray[np.float64]
    ) -> None:
        """Write the certificates (samples, fields) of some samples' interactions."""
        row = self.read("certificate", checkpoint)
        row[list(samples)] = values
        self.array("certificate")[checkpoint] = row
        to_disk(self.file("certificate", checkpoint))

    # Data, which any worker writes for its own tasks.

    def write_tables(self, checkpoint: int, samples: Sequence[int], tables: Tensor) -> None:
        """Write value tables (samples, masks) of some samples. On return they are safe on the disk."""
        padding = self.array("table").shape[-1] - tables.shape[-1]
        self._write("table", checkpoint, samples, nn.functional.pad(tables, (0, padding), value=torch.nan))

    def write_interactions(self, checkpoint: int, samples: Sequence[int], interactions: Interactions) -> None:
        """Write the interactions of some samples."""
        if interactions.listed is None:
            self._write("interactions", checkpoint, samples, interactions.values)
            return
        room, width = self.array("terms").shape[-2:]
        packed = [terms.packed(interactions.listed, row, room, width - 1) for row in range(len(samples))]
        for name, parts in zip(_SPARSE_ARRAYS, zip(*packed, strict=True), strict=True):
            self._write(name, checkpoint, samples, torch.stack(parts))

    def write_bounds(self, samples: Sequence[int], values: Tensor) -> None:
        """Write bounds (samples, bounds) of some samples' preserved share."""
        for sample, row in zip(samples, values.numpy(), strict=True):
            self.array("bounds")[sample] = row
            to_disk(self.file("bounds", sample))

    def bounds(self, samples: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """Read bounds of some samples' preserved share, by name: (samples,) each."""
        values = self.read("bounds")[list(samples)]
        return dict(zip(self.names("bound"), values.T, strict=True))

    def _write(self, name: str, checkpoint: int, samples: Sequence[int], values: Tensor) -> None:
        for sample, content in zip(samples, values.numpy(), strict=True):
            self.array(name)[checkpoint, sample] = content
            to_disk(self.file(name, checkpoint, sample))

    def write_accuracy(self, checkpoint: int, correct: Tensor) -> None:
        """Write whether each accuracy sample is classified correctly, bool (accuracy samples,)."""
        self.array("correct")[checkpoint] = correct.to(torch.int8).numpy()
        to_disk(self.file("correct", checkpoint))

    def tables(self, checkpoint: int, samples: Sequence[int] | slice = slice(None)) -> Tensor:
        """Read some samples' tables of one checkpoint: float64, (samples, masks)."""
        return self._read_samples("table", checkpoint, samples)[:, : self.shape[2]]

    def interactions(self, checkpoint: int, samples: Sequence[int] | slice = slice(None)) -> Interactions:
        """Read some samples' interactions of one checkpoint, with their certificates if there are any."""
        rows = samples if isinstance(samples, slice) else list(samples)
        fields = torch.from_numpy(self.read("certificate", checkpoint)[rows])
        certificate = None
        if not bool(fields[:, : len(FIELDS)].isnan().any()):
            certificate = Certificate(fields[:, 0], fields[:, 1], fields[:, 2], fields[:, 3].long())
        offset, players = self.tables(checkpoint, samples)[:, 0], tuple(self.names("player"))
        if self.sparse:
            numbers, which = (self._read_samples(name, checkpoint, samples) for name in _SPARSE_ARRAYS)
            listed = terms.unpacked(list(numbers), list(which), fields[:, len(FIELDS) :], self.wanted)
            return Interactions.of_terms(listed, offset, players, certificate)
        values = self._read_samples("interactions", checkpoint, samples)
        return Interactions(values[:, 0], values[:, 1], offset, players, certificate)

    def _read_samples(self, name: str, checkpoint: int, samples: Sequence[int] | slice) -> Tensor:
        if isinstance(samples, slice):
            return torch.from_numpy(self.read(name, checkpoint, samples).astype(np.float64))
        # Chunk by chunk, because zarr reads lists of indices more slowly.
        parts = [self.read(name, checkpoint, sample) for sample in samples]
        return torch.from_numpy(np.stack(parts).astype(np.float64))

    def correct(self, checkpoint: int) -> NDArray[np.float64]:
        """Read which accuracy samples a checkpoint classifies correctly: 1 or 0, float64, (accuracy samples,)."""
        return self.read("correct", checkpoint).astype(np.float64)

    def adopt(self, other: Store, stage: Stage, ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
        """Copy a chunk from another store with chunks of the same shape. The caller must set the marks."""
        for name in self._of_stage[stage]:
            target, source = self.file(name, *ours), other.file(name, *theirs)
            if not source.exists():  # a reading without terms
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(
                    source, target
                )  # chunks are replaced, never changed, so both stores can share the file
            except OSError:
                target.write_bytes(source.read_bytes())
                to_disk(target)
