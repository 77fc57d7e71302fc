"""Puts interactions of several models, or of one model's checkpoints, on the same subsets, so that they compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.interactions import TYPES, Interactions
from bequeath.lattice.subsets import members


@dataclass(frozen=True, eq=False)
class Aligned:
    """Interactions of several readings on the same subsets of players.

    Attributes
    ----------
    effects : dict of str to Tensor
        The interactions of each reading, shape (samples, 2, subsets); AND comes first.
    orders : Tensor
        Number of players in each subset, int64, (subsets,).
    most : int
        The largest order that the readings can have: n for exact readings, the order of the fit for sparse ones.
    subsets : tuple of tuple of int, or None
        The players of each subset, small subsets first. None: all 2**n subsets, in the order of their bitmasks.
    """

    effects: dict[str, Tensor]
    orders: Tensor
    most: int
    subsets: tuple[tuple[int, ...], ...] | None

    def members(self, subset: int) -> tuple[int, ...]:
        """The players of the subset at this index."""
        return members(subset, subset.bit_length()) if self.subsets is None else self.subsets[subset]


def align(readings: Mapping[str, Interactions]) -> Aligned:
    """Put readings of the same samples and players on the same subsets.

    Sparse readings get the union of their terms. If one of the readings is exact, all readings get all 2**n subsets.

    Parameters
    ----------
    readings : mapping of str to Interactions
        Readings by name, of the same samples and players.

    Returns
    -------
    Aligned
        The interactions in the units of the readings.
    """
    sparse = {name: reading.listed for name, reading in readings.items() if reading.listed is not None}
    first = next(iter(readings.values()))
    if len(sparse) < len(readings):
        dense = {
            name: reading.values.reshape(-1, len(TYPES), 2**reading.n_players)
            for name, reading in readings.items()
        }
        return Aligned(dense, first.orders, first.n_players, None)
    subsets = {players for terms in sparse.values() for players in terms.members}
    union = sorted(subsets, key=lambda players: (len(players), players))
    index = {players: i for i, players in enumerate(union)}
    effects = {}
    for name, terms in sparse.items():
        value = terms.value.reshape(terms.constant.numel(), len(terms))
        effects[name] = value.new_zeros(len(value), len(TYPES), len(union))
        for term, (players, kind) in enumerate(zip(terms.members, terms.kinds, strict=True)):
            effects[name][:, TYPES.index(kind), index[players]] = value[:, term]
    orders = torch.tensor([len(players) for players in union], dtype=torch.int64)
    return Aligned(effects, orders, max(terms.order for terms in sparse.values()), tuple(union))


def check_alike(name: str, interactions: Interactions, first: Interactions) -> None:
    """Refuse interactions with other samples or players than those of the first model.

    Parameters
    ----------
    name : str
        Name of the argument in errors.
    interactions, first : Interactions
        Of the model, and of the first model.

    Raises
    ------
    BequeathError
        If players or samples differ, or there are several axes of samples.
    """
    if not isinstance(interactions, Interactions):
        raise BequeathError(
            f"{name}: a {type(interactions).__name__} given; give Interactions (bequeath.fit, bequeath.decompose)"
        )
    if interactions.players != first.players:
        own, expected = (", ".join(reading.players[:4]) for reading in (interactions, first))
        raise BequeathError(
            f"{name}: it has {interactions.n_players} players ({own}, ...), before has {first.n_players} ({expected}, "
            "...); give readings of the same players"
        )
    if interactions.offset.shape != first.offset.shape:
        raise BequeathError(
            f"{name}: interactions of {tuple(interactions.offset.shape)} samples, before has "
            f"{tuple(first.offset.shape)}; give readings of the same samples"
        )
    if interactions.offset.ndim > 1:
        raise BequeathError(
            f"{name}: tables of shape {tuple(interactions.offset.shape)}; give one axis of samples"
        )
