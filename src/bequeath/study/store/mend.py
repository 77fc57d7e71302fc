"""What a study says of its arrays is written anew where it is damaged: nothing that was computed is in it."""

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
    """Write damaged or missing coordinates and descriptions of arrays anew; chunks of data stay as they are.

    Parameters
    ----------
    path : Path
        Of the group; one that is not there, or is of another study, is left alone.
    axes, identity
        Of the study.
    """
    try:
        group = zarr.open_group(path, mode="r+", zarr_format=3)
        if group.attrs.get("identity") != identity:
            return
    except Exception:  # opening the store tells what is wrong
        return
    for name, described in data_arrays(axes, identity["dtype"]).items():
        _, shape, chunks, _, _ = described
        array = _opened(group, name)
        if array is None or (array.shape, array.chunks) != (shape, chunks):
            logger.warning("%s: described anew", path / name)
            remove(path / name / "zarr.json")
            make_array(group, name, described)
    for name, (dims, values) in coordinates(axes).items():
        if not _holds(_opened(group, name), values):
            logger.warning("%s: written anew", path / name)
            remove(path / name)
            make_coordinate(group, name, dims, values)


def _opened(group: zarr.Group, name: str) -> zarr.Array[Any] | None:
    try:
        found = group[name]
    except Exception:  # zarr raises many kinds
        return None
    return found if isinstance(found, zarr.Array) else None


def _holds(array: zarr.Array[Any] | None, values: NDArray[Any]) -> bool:
    if array is None or array.shape != values.shape:
        return False
    try:
        return bool(np.array_equal(np.asarray(array[...]).astype(values.dtype), values))
    except Exception:  # damaged
        return False
