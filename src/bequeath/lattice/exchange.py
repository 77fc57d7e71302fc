"""Labelled values over subsets in other libraries' hands: xarray arrays and shapiq's InteractionValues.

Both libraries are imported where they are used.
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
        Names along the axis before the last, and of the n players.
    fields : mapping of str to Tensor
        Shape (...) each: what else there is to say of every table. Become coordinates along `dims`.
    dims : sequence of str, optional
        Names of the leading axes; ``axis_0``, ... by default.

    Raises
    ------
    BequeathError
        If `dims` are not as many different names as there are leading axes, or name something else in the array.
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
            # Copies: writing to the array must change neither the cached orders nor the fields.
            "order": ("subset", orders(len(players)).numpy().copy()),
            **{name: (names, field.cpu().numpy().copy()) for name, field in fields.items()},
        },
        attrs={"players": list(players)},
        name="interactions",
    )


def from_array(
    array: xarray.DataArray, types: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> tuple[Tensor, tuple[str, ...], dict[str, Tensor]]:
    """What `to_array` was given, from its array with the leading axes indexed, or any axes moved, since.

    Parameters
    ----------
    array : xarray.DataArray
        From `to_array`.
    types : sequence of str
        The names along the axis ``type``.
    required, optional : sequence of str
        Names of the fields; the optional ones are there all together or not at all.

    Returns
    -------
    values : Tensor
        Shape (..., types, 2**n), leading axes in the order that they have in `array`.
    players : tuple of str
        Names of the n players.
    fields : dict of str to Tensor
        Shape (...) each.

    Raises
    ------
    BequeathError
        If `array` is something else, or has lost labels or subsets since.
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
        array = array.sel({axis: labels})  # in our order, whatever it was sorted by
    leading = tuple(dim for dim in array.dims if dim not in _OWN_AXES)
    for name in names:
        if set(array[name].dims) != set(leading):
            raise BequeathError(
                f"array: {name} has the axes {array[name].dims} and the tables {leading}; both need the same"
            )
    values = array.transpose(*leading, *_OWN_AXES).values
    if values.dtype.kind != "f":
        raise BequeathError(
            f"array: floating point values needed, {values.dtype} given; use array.astype(float)"
        )
    fields = {name: torch.tensor(array[name].transpose(*leading).values) for name in names}
    return torch.tensor(values), players, fields


def to_shapiq(moebius: Tensor) -> shapiq.InteractionValues:
    """shapiq's form of the Moebius transform of one table, shape (2**n,), whose entry 0 is v(0).

    Zeros are left out, which shapiq reads as 0.

    Raises
    ------
    BequeathError
        If shapiq cannot be imported.
    """
    n = players_of(moebius)
    held = {members(subset, n): subset for subset in moebius.nonzero().flatten().tolist()}
    # In the order of shapiq's own results: some of its comparisons go by position.
    subsets = sorted(held, key=lambda subset: (len(subset), subset))
    return interaction_values()(
        moebius[[held[subset] for subset in subsets]].cpu().numpy(),
        # Without it, shapiq lists all 2**n subsets.
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
        If `values` is something else, holds another index, more players than can be had or players that are none of
        its own; or if shapiq cannot be imported.
    """
    if not isinstance(values, interaction_values()):
        raise BequeathError(f"values: a {type(values).__name__} given; give shapiq.InteractionValues")
    n = values.n_players
    if values.index != "Moebius":
        raise BequeathError(
            f'values: index {values.index!r} given; AND interactions are the index "Moebius": compute '
            f'index="Moebius", order={n}'
        )
    check_players(n)
    moebius = torch.zeros(2**n, dtype=torch.float64)
    moebius[0] = float(values.baseline_value)  # may stand there alone, as after get_n_order(min_order=1)
    for subset, value in values.interactions.items():
        if not all(0 <= player < n for player in subset):
            raise BequeathError(
                f"values: interaction {subset} of {n} players, which are numbered 0 to {n - 1}"
            )
        moebius[sum(1 << player for player in subset)] = float(value)
    return moebius


def interaction_values() -> type[shapiq.InteractionValues]:
    try:
        from shapiq import InteractionValues
    except ImportError as error:
        raise BequeathError(f"shapiq: cannot be imported ({error}); pip install 'shapiq>=1.4'") from error
    return InteractionValues
