"""Shared strength and regions: the strength of each interaction, divided among the sets of models that have it.

Source: docs/method.md, sections "Observed" and "Any number of models".
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

from bequeath.errors import BequeathError

Region = tuple[str, ...]
"""A set of models, in the order in which the models were given."""

# There are 2**models - 1 sets, each with an array of its own.
_MOST_MODELS = 12


def shared(*effects: Tensor) -> Tensor:
    """Shared strength: min |I| over models where all signs agree, else 0.

    Source: docs/method.md, section "Observed". The tensors have one shape, or shapes that broadcast.
    """
    least, most = effects[0], effects[0]
    for effect in effects[1:]:
        least, most = torch.minimum(least, effect), torch.maximum(most, effect)
    return least.clamp(min=0) - most.clamp(max=0)


def main_part(before: float, after: float) -> Literal["preserved", "discarded", "new", "flipped"] | None:
    """The largest part of the strength of one interaction in two models (docs/method.md, section "Observed").

    Parameters
    ----------
    before, after : float
        Its effect in each model, divided by the scale of the model.

    Returns
    -------
    str or None
        ``"flipped"`` if the signs differ: its strength is then discarded and new. Of equal parts, the first of
        preserved, discarded, new. None if neither model has the interaction.
    """
    if before == after == 0:
        return None
    if before * after < 0:
        return "flipped"
    kept = min(abs(before), abs(after))
    discarded, new = abs(before) - kept, abs(after) - kept
    if kept >= max(discarded, new):
        return "preserved"
    return "discarded" if discarded >= new else "new"


def regions(values: Mapping[str, Tensor]) -> dict[Region, Tensor]:
    """Signed effects of every set of models: what exactly these models have in common.

    For each interaction and sign, the models' strengths s are nested intervals [0, s]. Sort them: each layer between
    two neighbouring strengths belongs to the models whose strength reaches it. So the regions that a model belongs to
    add up to its interactions. Source: docs/method.md, section "Any number of models".

    Parameters
    ----------
    values : mapping of str to Tensor
        Interactions of each model, all of one shape.

    Returns
    -------
    dict of tuple of str to Tensor
        By set of models, small sets first; tensors in the shape and units of `values`.

    Raises
    ------
    BequeathError
        If there are more than 12 models.
    """
    names = tuple(values)
    if len(names) > _MOST_MODELS:
        raise BequeathError(
            f"regions: {len(names)} models have {2 ** len(names) - 1:,} sets; give {_MOST_MODELS} models at most"
        )
    stacked = torch.stack(list(values.values()))
    nothing = torch.zeros_like(stacked[0])
    by_bits: dict[int, Tensor] = {}
    for sign in (1, -1):
        strength, order = (sign * stacked).clamp(min=0).sort(dim=0, descending=True, stable=True)
        members = (1 << order).cumsum(0)  # bit m of row r: whether model m is among the r + 1 strongest
        layers = strength - torch.cat((strength[1:], nothing[None]))
        for bits in torch.unique(members[layers > 0]).tolist():
            part = torch.where(members == bits, layers, 0.0).sum(0)
            by_bits[bits] = by_bits.get(bits, nothing) + sign * part
    sets = [chosen for size in range(1, len(names) + 1) for chosen in combinations(range(len(names)), size)]
    return {
        tuple(names[model] for model in chosen): by_bits.get(sum(1 << model for model in chosen), nothing)
        for chosen in sets
    }
