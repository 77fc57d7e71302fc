"""The run's arrays: one Zarr group, readable with plain xarray, written chunk by chunk.

Every (checkpoint, sample) is a chunk of its own, and a mark apart from the data says that it is whole: a run killed
at any moment loses at most the table in flight.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.interactions import TYPES, Certificate, Interactions
from bequeath.lattice.subsets import orders

_FORMAT = "bequeath.tables/1"
_CERTIFICATE = ("objective", "lower_bound", "resolution", "iterations")


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


class Store:
    """Tables and interactions of a run: axes (checkpoint, sample, ...).

    Parameters
    ----------
    path : Path
        Folder of the group, made if missing.
    checkpoints, samples : list of str
        Coordinates; checkpoints are named ``model/checkpoint``.
    players : list of str
        Names of the n players (of each sample's own, where they are words: then ``player 1``, ...).
    accuracy_samples : int
        Number of samples that accuracies are measured on.
    identity : dict
        What the numbers depend on; a store made for something else is refused.
    """

    def __init__(
        self,
        path: Path,
        checkpoints: list[str],
        samples: list[str],
        players: list[str],
        accuracy_samples: int,
        identity: dict[str, Any],
    ) -> None:
        self.checkpoints, self.samples, self.players = checkpoints, samples, players
        self.accuracy_samples = accuracy_samples
        identity = json.loads(json.dumps(identity))
        if path.exists():
            self._group = self._open(path, identity)
        else:
            self._group = self._create(path, identity)

    def _open(self, path: Path, identity: dict[str, Any]) -> zarr.Group:
        try:
            group = zarr.open_group(path, mode="r+")
        except Exception as error:
            raise BequeathError(f"{path}: not a table store ({error}); choose another --out") from None
        if group.attrs.get("format") != _FORMAT:
            raise BequeathError(f"{path}: made by something else, or not finished; choose another --out")
        before: Any = group.attrs["identity"]
        changed = sorted(
            key for key in identity.keys() | before.keys() if identity.get(key) != before.get(key)
        )
        if changed:
            raise BequeathError(
                f"{path}: holds another study (differs in: {', '.join(changed)}); choose another --out or "
                f"remove the folder"
            )
        return group

    def _create(self, path: Path, identity: dict[str, Any]) -> zarr.Group:
        group = zarr.open_group(path, mode="w-", zarr_format=3)
        size, c, s = 2 ** len(self.players), len(self.checkpoints), len(self.samples)
        arrays: dict[str, tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...], str, float]] = {
            "table": (("checkpoint", "sample", "subset"), (c, s, size), (1, 1, size), "f8", np.nan),
            "table_done": (("checkpoint", "sample"), (c, s), (1, 1), "i1", 0),
            "interactions": (
                ("checkpoint", "sample", "type", "subset"),
                (c, s, 2, size),
                (1, 1, 2, size),
                "f8",
                np.nan,
            ),
            "objective": (("checkpoint", "sample"), (c, s), (1, 1), "f8", np.nan),
            "lower_bound": (("checkpoint", "sample"), (c, s), (1, 1), "f8", np.nan),
            "resolution": (("checkpoint", "sample"), (c, s), (1, 1), "f8", np.nan),
            "iterations": (("checkpoint", "sample"), (c, s), (1, 1), "i8", -1),
            "interactions_done": (("checkpoint", "sample"), (c, s), (1, 1), "i1", 0),
            "correct": (
                ("checkpoint", "accuracy_sample"),
                (c, self.accuracy_samples),
                (1, self.accuracy_samples),
                "i1",
                -1,
            ),
        }
        for name, (dims, shape, chunks, dtype, fill) in arrays.items():
            group.create_array(
                name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill, dimension_names=dims
            )
        order = group.create_array("order", shape=(size,), dtype="i8", dimension_names=("subset",))
        order[:] = orders(len(self.players)).numpy()
        # Names go into attributes: strings are not yet a stable Zarr v3 data type.
        group.attrs.update(
            {
                "identity": identity,
                "checkpoints": self.checkpoints,
                "samples": self.samples,
                "players": self.players,
                "types": list(TYPES),
                "index": "bit i of subset is player i; table holds v, entry 0 being v(empty)",
                "format": _FORMAT,  # last: its absence marks a store whose making was cut off
            }
        )
        return group

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self._group[name]
        assert isinstance(array, zarr.Array)
        return array

    def _missing(self, name: str) -> NDArray[np.bool_]:
        missing: NDArray[np.bool_] = np.asarray(self._array(name)[:]) == 0
        return missing

    def missing_tables(self) -> list[tuple[int, int]]:
        """(checkpoint, sample) positions whose table is not there yet, in order."""
        return [(int(c), int(s)) for c, s in np.argwhere(self._missing("table_done"))]

    def write_table(self, checkpoint: int, sample: int, table: Tensor) -> None:
        """Write one value table (2**n,), then mark it as whole."""
        self._array("table")[checkpoint, sample] = table.numpy()
        self._array("table_done")[checkpoint, sample] = 1

    def table(self, checkpoint: int, sample: int) -> Tensor:
        """One value table: (2**n,)."""
        return torch.from_numpy(np.asarray(self._array("table")[checkpoint, sample]))

    def tables(self, checkpoint: int) -> Tensor:
        """All samples' tables of one checkpoint: (samples, 2**n)."""
        return torch.from_numpy(np.asarray(self._array("table")[checkpoint]))

    def missing_accuracy(self) -> list[int]:
        """Checkpoints whose accuracy is not measured yet."""
        return [int(c) for c in np.flatnonzero(np.asarray(self._array("correct")[:, 0]) < 0)]

    def write_accuracy(self, checkpoint: int, correct: Tensor) -> None:
        """Write whether each accuracy sample is classified correctly (one chunk, so whole or not at all)."""
        self._array("correct")[checkpoint] = correct.to(torch.int8).numpy()

    def correct(self, checkpoint: int) -> NDArray[np.float64]:
        """1 where a checkpoint classifies an accuracy sample correctly, else 0: (accuracy samples,)."""
        return np.asarray(self._array("correct")[checkpoint], dtype=np.float64)

    def missing_interactions(self, checkpoint: int) -> list[int]:
        """Samples of one checkpoint that are not decomposed yet."""
        return [int(s) for s in np.flatnonzero(self._missing("interactions_done")[checkpoint])]

    def write_interactions(self, checkpoint: int, sample: int, interactions: Interactions) -> None:
        """Write one table's interactions, then mark them as whole."""
        certificate = interactions.certificate
        self._array("interactions")[checkpoint, sample] = interactions.values.numpy()
        if certificate is not None:
            for name in _CERTIFICATE:
                self._array(name)[checkpoint, sample] = getattr(certificate, name).item()
        self._array("interactions_done")[checkpoint, sample] = 1

    def interactions(self, checkpoint: int) -> Interactions:
        """All samples' interactions of one checkpoint, with their certificates where there are any."""
        values = torch.from_numpy(np.asarray(self._array("interactions")[checkpoint]))
        fields = [torch.from_numpy(np.asarray(self._array(name)[checkpoint])) for name in _CERTIFICATE]
        certificate = Certificate(*fields) if bool((fields[-1] >= 0).all()) else None
        offset = self.tables(checkpoint)[:, 0]
        return Interactions(values[:, 0], values[:, 1], offset, tuple(self.players), certificate)
