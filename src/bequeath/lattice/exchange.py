"""Converts interactions over all subsets to and from xarray arrays and shapiq's InteractionValues.

Both libraries are imported on first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.subsets import check_players, members, orders, players_of

if TYPE_CHECKING:
    import shapiq
    import xarray

_OWN_AXES = ("type", "subset")


def to_array(
    values: Tensor,
    types: Sequence[str],
    players: Sequence[str],
    fields: Mapping[str, Tensor],
    dims: Sequence[str] | None = None,
) -> xarray.DataArray:
    """A labelled array with axes (*dims, type, subset).

    Parameters
    ----------
    values : Tensor
        Shape (..., types, 2**n).
    types, players : sequence of str
        Names along the axis before the last, and names of the n players.
    fields : mapping of str to Tensor
        Further numbers of each table, shape (...) each. They become coordinates along `dims`.
    dims : sequence of str, optional
        Names of the leading axes; ``axis_0``, ... by default.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    BequeathError
        If `dims` does not have one different name for each leading axis, or a name is taken in the array.
    """
    import xarray

    leading = values.ndim - len(_OWN_AXES)
    names = tuple(f"axis_{i}" for i in range(leading)) if dims is None else tuple(dims)
    taken = (*_OWN_AXES, "order", *fields)
    if len(set(names)) != leading or len(names) != leading or not set(names).isdisjoint(taken):
        raise BequeathError(
            f"dims: {names} given; give {leading} different names, one for each leading axis, and none of {taken}"
        )
    return xarray.DataArray(
        values.cpu().numpy(),
        dims=(*names, *_OWN_AXES),
        coords={
            "type": list(types),
            "subset": np.arange(values.shape[-1]),
            # Copies, so that writing to the array changes neither the cached orders nor the fields.
            "order": ("subset", orders(len(players)).numpy().copy()),
            **{name: (names, field.cpu().numpy().copy()) for name, field in fields.items()},
        },
        attrs={"players": list(players)},
        name="interactions",
    )


def from_array(
    array: xarray.DataArray, types: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> tuple[Tensor, tuple[str, ...], dict[str, Tensor]]:
    """The inverse of `to_array`. Its array may have been indexed along the leading axes, and its axes moved.

    Parameters
    ----------
    array : xarray.DataArray
        From `to_array`.
    types : sequence of str
        The names along the axis ``type``.
    required, optional : sequence of str
        Names of the fields; of the optional ones the array has either all or none.

    Returns
    -------
    values : Tensor
        Shape (..., types, 2**n); the leading axes are in the order of `array`.
    players : tuple of str
        Names of the n players.
    fields : dict of str to Tensor
        Shape (...) each.

    Raises
    ------
    BequeathError
        If `array` is not such an array, or has lost labels or subsets.
    """
    import xarray

    if not isinstance(array, xarray.DataArray):
        raise BequeathError(f"array: a {type(array).__name__} given; give a DataArray, as to_xarray returns")
    names = (*required, *optional) if any(name in array.coords for name in optional) else tuple(required)
    missing = [f"axis {axis}" for axis in _OWN_AXES if axis not in array.dims]
    missing += [f"coordinate {name}" for name in (*_OWN_AXES, *names) if name not in array.coords]
    missing += [] if "players" in array.attrs else ["attribute players"]
    if missing:
        raise BequeathError(
            f"array: it has no {', no '.join(missing)}; give an array from to_xarray, indexed along its leading axes "
            f"only"
        )
    players = tuple(array.attrs["players"])
    check_players(len(players))
    for axis, labels in (("type", np.array(types)), ("subset", np.arange(2 ** len(players)))):
        if not np.array_equal(np.sort(array[axis].values), np.sort(labels)):
            raise BequeathError(
                f"array: the {array.sizes[axis]} labels of the axis {axis} are not the {len(labels)} needed for "
                f"{len(players)} players; give an array from to_xarray, indexed along its leading axes only"
            )
        array = array.sel({axis: labels})  # back to the usual order
    leading = tuple(dim for dim in array.dims if dim not in _OWN_AXES)
    for name in names:
        if set(array[name].dims) != set(leading):
            raise BequeathError(
                f"array: {name} has the axes {array[name].dims} and the tables {leading}; give both the same"
            )
    values = array.transpose(*leading, *_OWN_AXES).values
    if values.dtype.kind != "f":
        raise BequeathError(
            f"array: {values.dtype} values given; give floating point values (array.astype(float))"
        )
    fields = {name: torch.tensor(array[name].transpose(*leading).values) for name in names}
    return torch.tensor(values), players, fields


def to_shapiq(moebius: Tensor) -> shapiq.InteractionValues:
    """The Moebius transform of one table, shape (2**n,), entry 0 being v(0), as shapiq's InteractionValues.

    Zeros are left out; shapiq reads missing entries as 0.

    Raises
    ------
    BequeathError
        If shapiq cannot be imported.
    """
    n = players_of(moebius)
    nonzero = {members(subset, n): subset for subset in moebius.nonzero().flatten().tolist()}
    # In the order of shapiq's own results: some of its comparisons go by position.
    subsets = sorted(nonzero, key=lambda subset: (len(subset), subset))
    return interaction_values()(
        moebius[[nonzero[subset] for subset in subsets]].cpu().numpy(),
        # Without a lookup, shapiq lists all 2**n subsets.
        interaction_lookup={subset: i for i, subset in enumerate(subsets)},
        index="Moebius",
        n_players=n,
        min_order=0,
        max_order=n,
        estimated=False,
        baseline_value=moebius[0].item(),
    )


def from_shapiq(values: shapiq.InteractionValues) -> Tensor:
    """The Moebius transform of one table, float64 of shape (2**n,), entry 0 being v(0): the inverse of `to_shapiq`.

    Raises
    ------
    BequeathError
        If `values` is of another type or index, or has too many players or unknown ones; or if shapiq cannot be
        imported.
    """
    if not isinstance(values, interaction_values()):
        raise BequeathError(f"values: a {type(values).__name__} given; give shapiq.InteractionValues")
    n = values.n_players
    if values.index != "Moebius":
        raise BequeathError(
            f'values: index {values.index!r} given; AND interactions are the index "Moebius": give values with '
            f'index="Moebius", order={n}'
        )
    check_players(n)
    moebius = torch.zeros(2**n, dtype=torch.float64)
    moebius[0] = float(
        values.baseline_value
    )  # may not be among the interactions, as after get_n_order(min_order=1)
    for subset, value in values.interactions.items():
        if not all(0 <= player < n for player in subset):
            raise BequeathError(
                f"values: interaction {subset} of {n} players; give players from 0 to {n - 1}"
            )
        moebius[sum(1 << player for player in subset)] = float(value)
    return moebius


def interaction_values() -> type[shapiq.InteractionValues]:
    """The class InteractionValues of shapiq.

    Raises
    ------
    BequeathError
        If shapiq cannot be imported.
    """
    try:
        from shapiq import InteractionValues
    except ImportError as error:
        raise BequeathError(f"shapiq: cannot be imported ({error}); pip install 'shapiq>=1.4'") from error
    return InteractionValues
