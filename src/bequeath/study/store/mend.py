"""Writes damaged coordinates and array descriptions anew. They follow from the study, so no results are lost."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from bequeath.files import remove
from bequeath.study.store.layout import Axes, coordinates, data_arrays, make_array, make_coordinate

logger = logging.getLogger(__name__)


def mend_store(path: Path, axes: Axes, identity: dict[str, Any]) -> None:
    """Write damaged or missing coordinates and array descriptions anew; chunks of data stay as they are.

    Parameters
    ----------
    path : Path
        The group. If it does not exist or belongs to another study, nothing is done.
    axes : Axes
        The study's coordinates.
    identity : dict
        The study's identity.
    """
    try:
        group = zarr.open_group(path, mode="r+", zarr_format=3)
        if group.attrs.get("identity") != identity:
            return
    except Exception:  # opening the store reports what is wrong
        return
    for name, described in data_arrays(axes, identity["dtype"]).items():
        _, shape, chunks, _, _ = described
        array = _opened(group, name)
        if array is None or (array.shape, array.chunks) != (shape, chunks):
            logger.warning("%s: description written anew", path / name)
            remove(path / name / "zarr.json")
            make_array(group, name, described)
    for name, (dims, values) in coordinates(axes).items():
        if not _holds(_opened(group, name), values):
            logger.warning("%s: written anew", path / name)
            remove(path / name)
            make_coordinate(group, name, dims, values)


def _opened(group: zarr.Group, name: str) -> zarr.Array[Any] | None:
    try:
        array = group[name]
    except Exception:  # zarr raises errors of many types
        return None
    return array if isinstance(array, zarr.Array) else None


def _holds(array: zarr.Array[Any] | None, values: NDArray[Any]) -> bool:
    if array is None or array.shape != values.shape:
        return False
    try:
        return bool(np.array_equal(np.asarray(array[...]).astype(values.dtype), values))
    except Exception:  # damaged
        return False
