"""Readings from halves of the masks. They take the most time of the findings, so they are kept in the run's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bequeath import __version__
from bequeath.files import replacing
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.fit import halves
from bequeath.study.loading.digests import key_of
from bequeath.study.store.terms import packed, quantities, unpacked

Halves = tuple[Interactions, Interactions]
_ARRAYS = ("numbers", "terms", "quantities")


def kept_halves(
    folder: Path, shown: Tensor, table: Tensor, players: Sequence[str], options: dict[str, Any]
) -> Halves:
    """Read interactions from both halves of the masks, or take them from an earlier reading of the same values.

    Parameters
    ----------
    folder : Path
        The run's folder. If it cannot be written to, halves are read each time.
    shown, table : Tensor
        Masks, bool (masks, players), and values (samples, masks).
    players : sequence of str
    options : dict
        Of `bequeath.lattice.sparse.fit.halves`.
    """
    digests = [hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for tensor in (shown, table)]
    file = folder / f"halves-{key_of(*digests, tuple(shown.shape), players, options, __version__)}.npz"
    with (
        suppress(Exception),  # the file does not exist, or is damaged
        np.load(file, allow_pickle=False) as saved,
    ):
        return _read(saved, table, players)
    arrays = _arrays(halves(shown, table, players=players, **options))
    with suppress(OSError), replacing(file) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    # Converted back from the arrays, so that a second start gives the same result to the last bit.
    return _read(arrays, table, players)


def _arrays(readings: Halves) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    for half, reading in enumerate(readings):
        assert reading.listed is not None
        rows, listed = range(len(reading.offset)), reading.listed
        numbers, terms = zip(
            *(packed(listed, row, len(listed.members), listed.order) for row in rows), strict=True
        )
        tensors = (torch.stack(numbers), torch.stack(terms), quantities(listed))
        for name, value in zip(_ARRAYS, tensors, strict=True):
            arrays[f"{name}-{half}"] = value.numpy()
        arrays[f"masks-{half}"] = np.array(listed.masks)
    return arrays


def _read(saved: Any, table: Tensor, players: Sequence[str]) -> Halves:
    readings = []
    for half in range(2):
        numbers, terms, rows = (torch.from_numpy(saved[f"{name}-{half}"]) for name in _ARRAYS)
        listed = unpacked(list(numbers), list(terms), rows, int(saved[f"masks-{half}"]))
        readings.append(Interactions.of_terms(listed, table[:, 0], tuple(players)))
    return readings[0], readings[1]
