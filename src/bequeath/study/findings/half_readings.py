"""Readings from halves of the masks: the longest part of the findings, so what was read is kept in the run's folder."""

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
    """As `bequeath.lattice.sparse.fit.halves`; read once for the same masks, values and options.

    Parameters
    ----------
    folder : Path
        Of the run; where it cannot be written to, halves are read each time.
    shown, table : Tensor
        Masks, bool (masks, players), and values, (samples, masks).
    players : sequence of str
    options : dict
        Of `halves`.
    """
    digests = [hashlib.sha256(one.numpy().tobytes()).hexdigest() for one in (shown, table)]
    file = folder / f"halves-{key_of(*digests, tuple(shown.shape), players, options, __version__)}.npz"
    with (
        suppress(Exception),  # there is none, or it is damaged in whatever way
        np.load(file, allow_pickle=False) as saved,
    ):
        return _read(saved, table, players)
    found = _arrays(halves(shown, table, players=players, **options))
    with suppress(OSError), replacing(file) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **found)  # type: ignore[arg-type]
    # As it is read back, so that a second start gives the same to the last bit.
    return _read(found, table, players)


def _arrays(found: Halves) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    for half, one in enumerate(found):
        assert one.listed is not None
        rows, listed = range(len(one.offset)), one.listed
        numbers, terms = zip(
            *(packed(listed, row, len(listed.members), listed.order) for row in rows), strict=True
        )
        kept = (torch.stack(numbers), torch.stack(terms), quantities(listed))
        for name, value in zip(_ARRAYS, kept, strict=True):
            arrays[f"{name}-{half}"] = value.numpy()
        arrays[f"masks-{half}"] = np.array(listed.masks)
    return arrays


def _read(saved: Any, table: Tensor, players: Sequence[str]) -> Halves:
    found = []
    for half in range(2):
        numbers, terms, rows = (torch.from_numpy(saved[f"{name}-{half}"]) for name in _ARRAYS)
        listed = unpacked(list(numbers), list(terms), rows, int(saved[f"masks-{half}"]))
        found.append(Interactions.of_terms(listed, table[:, 0], tuple(players)))
    return found[0], found[1]
