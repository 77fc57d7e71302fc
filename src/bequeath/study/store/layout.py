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

from bequeath.knowledge.identifiability import BOUNDS
from bequeath.lattice.interactions import TYPES
from bequeath.lattice.subsets import orders

FORMAT = "bequeath.tables/4"
FIELDS = ("objective", "lower_bound", "resolution", "iterations")
# Arrays that follow from the study itself: each is one chunk, and is written anew if it is damaged.
COORDINATES = {
    *("checkpoint", "model", "step", "sample", "label", "player", "field", "bound"),
    *("type", "subset", "order"),
    *("number", "shown"),
}
# For sparse readings: the numbers of each term; the numbers of each reading, which follow its certificate.
NUMBERS = ("value", "error", "chosen")
QUANTITIES = ("terms", "constant", "residual", "r2", "spread")

_EXACT = (
    "table[checkpoint, sample, subset] is v: the model's value on the sample with only the players of subset shown "
    "(bit i of subset = player i; subset 0 = none). interactions[checkpoint, sample, type, subset] are the AND and OR "
    "interactions of v - v[0]; they add up to it on every mask. certificate: objective and lower_bound of the L1 norm, "
    "in units of v. bounds[sample, bound]: of the preserved share over all equally sparse splits. "
)
_SPARSE = (
    "table[checkpoint, sample, mask] is v: the model's value on the sample with only the players shown that "
    "shown[mask, player] tells; the first mask shows none, the second all; NaN where a mask was not evaluated. "
    "terms[checkpoint, sample, term] is a term's kind (1: OR, 0: AND) and its players (-1: no more), and "
    "interactions[checkpoint, sample, term, number] its value, standard error, and share of half samples that choose "
    "it; NaN behind the last term. certificate: objective and lower_bound of the lasso, in squared units of v, how "
    "many terms there are, the constant, what is unexplained of v[1], the held-out R2, and the spread. "
    "v[0] + constant + terms + residual = v[1]. "
)
_BOTH = (
    "correct: 1 where the checkpoint classifies an accuracy sample rightly. *_done: 1 done, 2 failed, 0 not yet; where "
    "it is not 1, the arrays hold nothing of use. step -1: none."
)
_RETEST = (
    " Checkpoints model (retest)/name: the model's last one on the equivalent game (identity), of some samples, "
    "without accuracy."
)


@dataclass(frozen=True)
class Sampling:
    """The sampled masks, and the size of sparse readings.

    Attributes
    ----------
    shown : ndarray
        bool, (masks, players): all masks that may be evaluated, the empty one first, the full one second.
    order : int
        The largest number of players in a term.
    terms : int
        The largest number of terms in a reading.
    wanted : int
        Number of masks of the first reading.
    """

    shown: NDArray[np.bool_]
    order: int
    terms: int
    wanted: int


@dataclass(frozen=True)
class Axes:
    """The coordinates of a run's arrays."""

    checkpoints: Sequence[str]
    """Labels ``model/checkpoint``, of retests ``model (retest)/checkpoint``."""
    steps: Sequence[int | None]
    samples: Sequence[str]
    labels: Sequence[str]
    """Name of each sample's class."""
    players: Sequence[str]
    """Names of the n players; ``player 1``, ... if each sample has its own players, such as words."""
    accuracy_samples: int
    sampling: Sampling | None = None
    """None means all 2**n masks, in the order of their subsets."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the certificates."""
        return FIELDS if self.sampling is None else FIELDS + QUANTITIES

    @property
    def size(self) -> int:
        """Number of entries of a table."""
        return int(2 ** len(self.players)) if self.sampling is None else len(self.sampling.shown)


ArraySpec = tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...], str, float]
"""Names of the axes, shape, chunks, dtype, fill value."""
Arrays = dict[str, ArraySpec]


def _read_arrays(axes: Axes, dtype: str) -> Arrays:
    """Tables and interactions, with a chunk for each checkpoint and sample."""
    each = ("checkpoint", "sample")
    sampling, size = axes.sampling, axes.size

    def chunked(dims: tuple[str, ...], shape: tuple[int, ...], kind: str, fill: float) -> Any:
        whole = (len(axes.checkpoints), len(axes.samples), *shape)
        return (*each, *dims), whole, (1, 1, *shape), kind, fill

    if sampling is None:
        return {
            "table": chunked(("subset",), (size,), dtype, np.nan),
            "interactions": chunked(("type", "subset"), (2, size), dtype, np.nan),
        }
    terms = sampling.terms
    return {
        "table": chunked(("mask",), (size,), dtype, np.nan),
        "interactions": chunked(("term", "number"), (terms, len(NUMBERS)), dtype, np.nan),
        "terms": chunked(("term", "place"), (terms, 1 + sampling.order), "int16", -1),
    }


def data_arrays(axes: Axes, dtype: str) -> Arrays:
    """All arrays except the coordinates."""
    c, s = len(axes.checkpoints), len(axes.samples)
    each = ("checkpoint", "sample")
    return _read_arrays(axes, dtype) | {
        "correct": (
            ("checkpoint", "accuracy_sample"),
            (c, axes.accuracy_samples),
            (1, axes.accuracy_samples),
            "int8",
            -1,
        ),
        # Only the leading process writes these, one row at a time.
        "certificate": (
            (*each, "field"),
            (c, s, len(axes.fields)),
            (1, s, len(axes.fields)),
            "float64",
            np.nan,
        ),
        "bounds": (("sample", "bound"), (s, len(BOUNDS)), (1, len(BOUNDS)), "float64", np.nan),
        "table_done": (each, (c, s), (1, s), "int8", 0),
        "interactions_done": (each, (c, s), (1, s), "int8", 0),
        "accuracy_done": (("checkpoint",), (c,), (1,), "int8", 0),
        "bounds_done": (("sample",), (s,), (s,), "int8", 0),
    }


def coordinates(axes: Axes) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
    """By name, axes and values of the coordinates, and the players that each sampled mask shows."""
    result: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
        "checkpoint": (("checkpoint",), _names(axes.checkpoints)),
        "model": (("checkpoint",), _names([name.split("/")[0] for name in axes.checkpoints])),
        "step": (("checkpoint",), np.array([-1 if step is None else step for step in axes.steps], np.int64)),
        "sample": (("sample",), _names(axes.samples)),
        "label": (("sample",), _names(axes.labels)),
        "field": (("field",), _names(axes.fields)),
        "bound": (("bound",), _names(BOUNDS)),
        "player": (("player",), _names(axes.players)),
    }
    if axes.sampling is not None:
        shown = axes.sampling.shown.astype(np.int8)
        return result | {"number": (("number",), _names(NUMBERS)), "shown": (("mask", "player"), shown)}
    return result | {
        "type": (("type",), _names(TYPES)),
        "subset": (("subset",), np.arange(axes.size, dtype=np.int64)),
        "order": (("subset",), orders(len(axes.players)).numpy()),
    }


def make_array(group: zarr.Group, name: str, described: ArraySpec) -> None:
    """Make one empty array."""
    dims, shape, chunks, kind, fill = described
    group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=kind,
        fill_value=fill,
        dimension_names=dims,
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
    )


def make_coordinate(group: zarr.Group, name: str, dims: tuple[str, ...], values: NDArray[Any]) -> None:
    """Make one coordinate in one chunk. The chunk is written for all values, so that a missing file is noticed."""
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=tuple(max(1, length) for length in values.shape),
        dtype=str if values.dtype == object else values.dtype,
        dimension_names=dims,
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        config={"write_empty_chunks": True},
    )
    array[...] = values


def make_group(
    path: Path, axes: Axes, identity: dict[str, Any], dtype: Literal["float32", "float64"]
) -> zarr.Group:
    """Make the group with its coordinates and empty arrays."""
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    for name, described in data_arrays(axes, dtype).items():
        make_array(group, name, described)
    for name, (dims, values) in coordinates(axes).items():
        make_coordinate(group, name, dims, values)
    if axes.sampling is not None:
        group.attrs["wanted"] = axes.sampling.wanted
    group.attrs.update(
        {
            "coordinates": "model step label" + (" order" if axes.sampling is None else ""),
            "about": (_EXACT if axes.sampling is None else _SPARSE)
            + _BOTH
            + (_RETEST if "retest" in identity else ""),
            "identity": identity,
            "format": FORMAT,  # written last: a store without it is incomplete
        }
    )
    return group


def _names(names: Sequence[str]) -> NDArray[Any]:
    return np.array(list(names), dtype=object)
