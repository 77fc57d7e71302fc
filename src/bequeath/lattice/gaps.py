"""Puts readings of some samples on the axis of all samples, with NaN for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.records import CERTIFICATE_FIELDS, Certificate


def with_gaps(readings: Interactions, places: Sequence[int], count: int) -> Interactions:
    """Readings of some tables, (tables,), on an axis of `count` tables; all numbers of the other tables are NaN.

    Whole numbers cannot be NaN: iterations are 0. Sparse readings lose their halves.

    Parameters
    ----------
    readings : Interactions
        With one leading axis.
    places : sequence of int
        Index of each table on the new axis.
    count : int
        Length of the new axis.

    Returns
    -------
    Interactions
        Shape (count,).

    Raises
    ------
    BequeathError
        If there is not exactly one leading axis, or `places` does not have a different index for each table.
    """
    shape = tuple(readings.offset.shape)
    if shape != (len(places),) or len({*places}) < len(places) or not {*places} <= {*range(count)}:
        raise BequeathError(
            f"places: {list(places)} for tables {shape} on an axis of {count}; give each table a different place, from "
            f"0 to {count - 1}"
        )

    def spread(x: Tensor) -> Tensor:
        out = x.new_full((count, *x.shape[1:]), torch.nan if x.is_floating_point() else 0)
        out[list(places)] = x
        return out

    offset, certificate = spread(readings.offset), readings.certificate
    if certificate is not None:
        certificate = Certificate(*(spread(getattr(certificate, name)) for name in CERTIFICATE_FIELDS))
    if readings.listed is not None:
        listed = replace(readings.listed.map(spread), read_halves=None)
        return Interactions.of_terms(listed, offset, readings.players, certificate)
    return Interactions(spread(readings.and_), spread(readings.or_), offset, readings.players, certificate)
