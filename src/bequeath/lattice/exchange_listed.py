"""Converts listed terms to and from xarray arrays and shapiq's InteractionValues."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.exchange import interaction_values
from bequeath.lattice.listed import MOST_PLAYERS, Listed

if TYPE_CHECKING:
    import shapiq
    import xarray

_BY_TERM = ("error", "chosen")
_BY_TABLE = ("constant", "residual", "r2", "spread")


def is_listed(array: Any) -> bool:
    """Whether an array holds listed terms."""
    return "term" in getattr(array, "dims", ())


def to_array(
    listed: Listed, fields: dict[str, Tensor], players: Sequence[str], dims: Sequence[str] | None
) -> xarray.DataArray:
    """A labelled array with axes (*dims, term); `fields`, (...) each, become coordinates.

    Raises
    ------
    BequeathError
        If `dims` does not have one different name for each leading axis, or a name is taken in the array.
    """
    import xarray

    leading = listed.constant.ndim
    names = tuple(f"axis_{i}" for i in range(leading)) if dims is None else tuple(dims)
    by_table = fields | {name: getattr(listed, name) for name in _BY_TABLE}
    taken = ("term", "kind", "players", "order", *_BY_TERM, *by_table)
    if len(set(names)) != leading or len(names) != leading or not set(names).isdisjoint(taken):
        raise BequeathError(
            f"dims: {names} given; give {leading} different names, one for each leading axis, and none of {taken}"
        )
    sets = np.empty(len(listed), object)
    sets[:] = [",".join(map(str, players)) for players in listed.members]
    return xarray.DataArray(
        listed.value.cpu().numpy(),
        dims=(*names, "term"),
        coords={
            "kind": ("term", np.array(listed.kinds, dtype="U3")),
            "players": ("term", sets.astype(str)),
            "order": ("term", listed.orders.cpu().numpy()),
            **{name: ((*names, "term"), getattr(listed, name).cpu().numpy().copy()) for name in _BY_TERM},
            **{name: (names, field.cpu().numpy().copy()) for name, field in by_table.items()},
        },
        attrs={"players": list(players), "order": listed.order, "masks": listed.masks},
        name="interactions",
    )


def from_array(array: xarray.DataArray) -> tuple[Listed, dict[str, Tensor], tuple[str, ...]]:
    """Listed terms, other fields and names of the players, from an array of `to_array` that may have been indexed.

    Raises
    ------
    BequeathError
        If the array has lost labels.
    """
    needed = ("kind", "players", *_BY_TERM, *_BY_TABLE, "offset")
    missing = [name for name in needed if name not in array.coords]
    missing += [f"attribute {name}" for name in ("players", "order", "masks") if name not in array.attrs]
    if missing:
        raise BequeathError(f"array: it has no {', no '.join(missing)}; give an array from to_xarray")
    array = array.transpose(..., "term")
    leading = array.dims[:-1]

    def tensor(name: str, *axes: str) -> Tensor:
        return torch.tensor(array[name].transpose(*leading, *axes).values, dtype=torch.float64)

    fields = {
        str(name): torch.tensor(array[name].transpose(*leading).values)
        for name, field in array.coords.items()
        if name not in _BY_TABLE
        and set(field.dims) == set(leading)
        and name not in array.dims
        and name != "term"
        and name not in ("kind", "players", "order")
    }
    members = tuple(tuple(int(i) for i in str(players).split(",")) for players in array["players"].values)
    listed = Listed(
        members,
        tuple(str(kind) for kind in array["kind"].values),
        torch.tensor(array.values, dtype=torch.float64),
        tensor("error", "term"),
        tensor("chosen", "term"),
        tensor("constant"),
        tensor("residual"),
        tensor("r2"),
        tensor("spread"),
        int(array.attrs["order"]),
        int(array.attrs["masks"]),
    )
    return listed, fields, tuple(array.attrs["players"])


def to_shapiq(listed: Listed, offset: float, n: int) -> shapiq.InteractionValues:
    """One table as shapiq's InteractionValues; an OR term of k players becomes 2**k - 1 AND terms.

    The constant is added to the baseline value, because it would become 2**n - 1 AND terms.

    Raises
    ------
    BequeathError
        If shapiq cannot be imported.
    """
    total: dict[tuple[int, ...], float] = {}
    for members, kind, value in zip(listed.members, listed.kinds, listed.value.tolist(), strict=True):
        if value == 0:
            continue
        parts = (
            [members]
            if kind == "and"
            else [part for size in range(1, len(members) + 1) for part in combinations(members, size)]
        )
        for part in parts:
            total[part] = total.get(part, 0.0) + (value if kind == "and" or len(part) % 2 else -value)
    total = {part: value for part, value in total.items() if value != 0}
    baseline = offset + float(listed.constant)
    subsets = [(), *sorted(total, key=lambda part: (len(part), part))]
    return interaction_values()(
        np.array([baseline, *(total[part] for part in subsets[1:])]),
        interaction_lookup={part: i for i, part in enumerate(subsets)},
        index="Moebius",
        n_players=n,
        min_order=0,
        max_order=n,
        estimated=True,
        baseline_value=baseline,
    )


def from_shapiq(values: shapiq.InteractionValues) -> tuple[Listed, Tensor]:
    """AND terms of one table, and its v(0), from shapiq's Moebius values; errors and R2 are NaN.

    Raises
    ------
    BequeathError
        If `values` has another index, too many players or unknown ones.
    """
    if values.index != "Moebius":
        raise BequeathError(
            f'values: index {values.index!r} given; AND interactions are the index "Moebius": give values with it'
        )
    n = values.n_players
    if n > MOST_PLAYERS:
        raise BequeathError(f"values: {n} players; give at most {MOST_PLAYERS}")
    effects = {tuple(sorted(part)): float(value) for part, value in values.interactions.items() if part}
    for part in effects:
        if not all(0 <= player < n for player in part):
            raise BequeathError(f"values: interaction {part} of {n} players; give players from 0 to {n - 1}")
    subsets = sorted(
        (part for part, value in effects.items() if value != 0), key=lambda part: (len(part), part)
    )
    value = torch.tensor([effects[part] for part in subsets], dtype=torch.float64)
    unknown = torch.tensor(torch.nan, dtype=torch.float64)
    listed = Listed(
        tuple(subsets),
        ("and",) * len(subsets),
        value,
        torch.full_like(value, torch.nan),
        torch.full_like(value, torch.nan),
        torch.zeros((), dtype=torch.float64),
        unknown,
        unknown,
        unknown,
        max((len(part) for part in subsets), default=1),
    )
    return listed, torch.tensor(float(values.baseline_value), dtype=torch.float64)
