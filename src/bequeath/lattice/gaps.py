"""Readings of some samples on the axis of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.records import CERTIFICATE_FIELDS, Certificate


def with_gaps(readings: Interactions, places: Sequence[int], count: int) -> Interactions:
    """Readings of some tables, (tables,), on an axis of `count` tables: NaN in all numbers where there is none.

    Sparse ones lose the way to their halves, which are of the tables alone. Whole numbers have no NaN: iterations
    become 0.

    Parameters
    ----------
    readings : Interactions
    places : sequence of int
        Where on the new axis each table goes.
    count : int
        Length of the new axis.

    Raises
    ------
    BequeathError
        If there is another number of leading axes than one, or `places` are not a different place for each table.
    """
    shape = tuple(readings.offset.shape)
    if shape != (len(places),) or len({*places}) < len(places) or not {*places} <= {*range(count)}:
        raise BequeathError(
            f"places: {list(places)} for tables {shape} on an axis of {count}; give each a place of its own, from 0 to "
            f"{count - 1}"
        )

    def spread(x: Tensor) -> Tensor:
        out = x.new_full((count, *x.shape[1:]), torch.nan if x.is_floating_point() else 0)
        out[list(places)] = x
        return out

    offset, certificate = spread(readings.offset), readings.certificate
    if certificate is not None:
        certificate = Certificate(*(spread(getattr(certificate, name)) for name in CERTIFICATE_FIELDS))
    if readings.listed is not None:
        listed = replace(readings.listed.map(spread), again=None)
        return Interactions.of_terms(listed, offset, readings.players, certificate)
    return Interactions(spread(readings.and_), spread(readings.or_), offset, readings.players, certificate)
