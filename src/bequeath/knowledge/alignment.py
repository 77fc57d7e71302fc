"""Interactions of several models, or of one model's checkpoints, on the same subsets: what compares them needs that."""

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
        Of each reading, shape (samples, 2, subsets), AND first.
    orders : Tensor
        Players in each subset, int64, (subsets,).
    most : int
        The largest order that the readings can have: n, or what sparse ones looked for.
    subsets : tuple of tuple of int, or None
        The players of each subset, fewest first; None where all 2**n are there, in the order of their bitmasks.
    """

    effects: dict[str, Tensor]
    orders: Tensor
    most: int
    subsets: tuple[tuple[int, ...], ...] | None

    def members(self, subset: int) -> tuple[int, ...]:
        """The players of one of the subsets, by its place."""
        return members(subset, subset.bit_length()) if self.subsets is None else self.subsets[subset]


def align(given: Mapping[str, Interactions]) -> Aligned:
    """Put readings of the same samples and players on the same subsets.

    Sparse readings meet on the union of their terms; where one of the readings is exact, all have all 2**n subsets.
    """
    listed = {name: one.listed for name, one in given.items() if one.listed is not None}
    first = next(iter(given.values()))
    if len(listed) < len(given):
        dense = {name: one.values.reshape(-1, len(TYPES), 2**one.n_players) for name, one in given.items()}
        return Aligned(dense, first.orders, first.n_players, None)
    union = sorted({players for one in listed.values() for players in one.members}, key=lambda m: (len(m), m))
    place = {players: i for i, players in enumerate(union)}
    effects = {}
    for name, one in listed.items():
        value = one.value.reshape(one.constant.numel(), len(one))
        effects[name] = value.new_zeros(len(value), len(TYPES), len(union))
        for term, (players, kind) in enumerate(zip(one.members, one.kinds, strict=True)):
            effects[name][:, TYPES.index(kind), place[players]] = value[:, term]
    orders = torch.tensor([len(players) for players in union], dtype=torch.int64)
    return Aligned(effects, orders, max(one.order for one in listed.values()), tuple(union))


def check_alike(name: str, interactions: Interactions, first: Interactions) -> None:
    """Refuse interactions of other samples or players than the first model's; `name` is the argument's."""
    if not isinstance(interactions, Interactions):
        raise BequeathError(
            f"{name}: a {type(interactions).__name__}; give Interactions (bequeath.fit, decompose)"
        )
    if interactions.players != first.players:
        ours, theirs = (", ".join(one.players[:4]) for one in (interactions, first))
        raise BequeathError(
            f"{name}: its {interactions.n_players} players are {ours}, ...; those of before are {first.n_players}: "
            f"{theirs}, ...; all models need the same players"
        )
    if interactions.offset.shape != first.offset.shape:
        raise BequeathError(
            f"{name}: interactions of {tuple(interactions.offset.shape)} samples, before has "
            f"{tuple(first.offset.shape)}; all models need the same samples"
        )
    if interactions.offset.ndim > 1:
        raise BequeathError(
            f"{name}: tables of shape {tuple(interactions.offset.shape)}; give one axis of samples"
        )
