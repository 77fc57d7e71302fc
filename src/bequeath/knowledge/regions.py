"""What models share, and who has what: each interaction's strength dealt out over the sets of models (METHOD 5, 7)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from bequeath.errors import BequeathError

Region = tuple[str, ...]
"""The models that share it, in the order in which they were given."""

# Their sets are 2**models - 1, each with an array of its own.
_MOST_MODELS = 12


def shared(*effects: Tensor) -> Tensor:
    """min |I| over models where all signs agree, else 0: of one shape, or of shapes that broadcast (METHOD 5a)."""
    least, most = effects[0], effects[0]
    for effect in effects[1:]:
        least, most = torch.minimum(least, effect), torch.maximum(most, effect)
    return least.clamp(min=0) - most.clamp(max=0)


def regions(values: Mapping[str, Tensor]) -> dict[Region, Tensor]:
    """Signed effects of every set of models: what just these models have in common.

    For each interaction and sign the models' strengths are nested intervals [0, s]. Sorted, the layers between them
    belong to the models that reach so far. So the regions that a model belongs to add up to its interactions.

    Parameters
    ----------
    values : mapping of str to Tensor
        Interactions of each model, all of one shape.

    Returns
    -------
    dict of tuple of str to Tensor
        Every set of models, single ones first; tensors of the values' shape, in their units.

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
    found: dict[int, Tensor] = {}
    for sign in (1, -1):
        strength, order = (sign * stacked).clamp(min=0).sort(dim=0, descending=True, stable=True)
        members = (1 << order).cumsum(0)  # bit m of the r-th: whether model m is among the r strongest
        layers = strength - torch.cat((strength[1:], nothing[None]))
        for bits in torch.unique(members[layers > 0]).tolist():
            part = torch.where(members == bits, layers, 0.0).sum(0)
            found[bits] = found.get(bits, nothing) + sign * part
    sets = [chosen for size in range(1, len(names) + 1) for chosen in combinations(range(len(names)), size)]
    return {
        tuple(names[model] for model in chosen): found.get(sum(1 << model for model in chosen), nothing)
        for chosen in sets
    }
