"""Names, axes and chunks of a run's arrays (docs/run-format.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from bequeath.knowledge.bounds import BOUNDS
from bequeath.lattice.interactions import TYPES
from bequeath.lattice.subsets import orders

FORMAT = "bequeath.tables/3"
FIELDS = ("objective", "lower_bound", "resolution", "iterations")

_ABOUT = (
    "table[checkpoint, sample, subset] is v: the model's value on the sample with only the players of subset shown "
    "(bit i of subset = player i; subset 0 = none). interactions[checkpoint, sample, type, subset] are the AND and OR "
    "interactions of v - v[0]; they add up to it on every mask. certificate: objective and lower_bound of the L1 norm, "
    "in units of v. bounds[sample, bound]: of the preserved share over all equally sparse splits. correct: 1 where the "
    "checkpoint classifies an accuracy sample rightly. *_done: 1 done, 2 failed, 0 not yet; where it is not 1, the "
    "arrays hold nothing. step -1: none."
)


@dataclass(frozen=True)
class Axes:
    """The coordinates of a run's arrays."""

    checkpoints: Sequence[str]
    """Named ``model/checkpoint``."""
    steps: Sequence[int | None]
    samples: Sequence[str]
    labels: Sequence[str]
    """Name of each sample's class."""
    players: Sequence[str]
    """Names of the n players (of each sample's own, where they are words: then ``player 1``, ...)."""
    accuracy_samples: int

    @property
    def size(self) -> int:
        """Entries of a table: 2**n."""
        return int(2 ** len(self.players))


def make_group(
    path: Path, axes: Axes, identity: dict[str, Any], dtype: Literal["float32", "float64"]
) -> zarr.Group:
    """Make the group with all its arrays, nothing in them yet but the coordinates."""
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    c, s, size = len(axes.checkpoints), len(axes.samples), axes.size
    each = ("checkpoint", "sample")
    data: dict[str, tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...], str, float]] = {
        "table": ((*each, "subset"), (c, s, size), (1, 1, size), dtype, np.nan),
        "interactions": ((*each, "type", "subset"), (c, s, 2, size), (1, 1, 2, size), dtype, np.nan),
        "correct": (
            ("checkpoint", "accuracy_sample"),
            (c, axes.accuracy_samples),
            (1, axes.accuracy_samples),
            "int8",
            -1,
        ),
        # Written by the leading process alone: a row at a time.
        "certificate": ((*each, "field"), (c, s, len(FIELDS)), (1, s, len(FIELDS)), "float64", np.nan),
        "bounds": (("sample", "bound"), (s, len(BOUNDS)), (1, len(BOUNDS)), "float64", np.nan),
        "table_done": (each, (c, s), (1, s), "int8", 0),
        "interactions_done": (each, (c, s), (1, s), "int8", 0),
        "accuracy_done": (("checkpoint",), (c,), (1,), "int8", 0),
        "bounds_done": (("sample",), (s,), (s,), "int8", 0),
    }
    for name, (dims, shape, chunks, kind, fill) in data.items():
        group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype=kind,
            fill_value=fill,
            dimension_names=dims,
            compressors=[ZstdCodec(level=1), Crc32cCodec()],
        )
    coordinates: dict[str, tuple[str, NDArray[Any]]] = {
        "checkpoint": ("checkpoint", _names(axes.checkpoints)),
        "model": ("checkpoint", _names([name.split("/")[0] for name in axes.checkpoints])),
        "step": ("checkpoint", np.array([-1 if step is None else step for step in axes.steps])),
        "sample": ("sample", _names(axes.samples)),
        "label": ("sample", _names(axes.labels)),
        "type": ("type", _names(TYPES)),
        "subset": ("subset", np.arange(size)),
        "order": ("subset", orders(len(axes.players)).numpy()),
        "field": ("field", _names(FIELDS)),
        "bound": ("bound", _names(BOUNDS)),
        "player": ("player", _names(axes.players)),
    }
    for name, (dim, values) in coordinates.items():
        named: Any = str if values.dtype == object else "int64"
        array = group.create_array(name, shape=values.shape, dtype=named, dimension_names=(dim,))
        array[:] = values
    group.attrs.update(
        {
            "coordinates": "model step label order",
            "about": _ABOUT,
            "identity": identity,
            "format": FORMAT,  # last: its absence marks a store whose making was cut off
        }
    )
    return group


def _names(names: Sequence[str]) -> NDArray[Any]:
    return np.array(list(names), dtype=object)
