"""The `masks` section of a study file: which masks are evaluated for sparse readings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from bequeath.errors import BequeathError
from bequeath.lattice.listed import MOST_PLAYERS
from bequeath.lattice.sparse.checks import least_masks
from bequeath.lattice.sparse.growth import FIRST, LIMIT
from bequeath.lattice.sparse.masks import Design, draw_masks
from bequeath.study.config.section import Section


class Masks(Section):
    """How many masks are evaluated for each sample, and how they are drawn: the same for all models and samples."""

    number: Annotated[int, Field(ge=2, le=2**20)] | Literal["auto"] = 512
    """Number of masks, at most all 2**n. auto: from 128, doubled until held-out R2 and the terms' errors stop
    improving."""
    design: Design = "uniform"
    """uniform, size, mostly, paired (`bequeath.draw_masks`)."""
    shown: float | None = Field(default=None, gt=0, lt=1)
    """Share of the players that a mask shows; by default 0.5, or 0.75 for mostly."""
    most: int | None = Field(default=None, ge=FIRST, le=2**20)
    """auto: the largest number of masks; by default 2,048."""

    @model_validator(mode="after")
    def _fits(self) -> Masks:
        if self.most is not None and self.number != "auto":
            raise ValueError("most: is for number: auto only; leave it out")
        if self.shown is not None and self.design == "size":
            raise ValueError(
                "shown: does not fit design: size, which shows every number of players; leave it out"
            )
        return self

    @property
    def limit(self) -> int:
        """The largest number of masks."""
        return (self.most or LIMIT) if self.number == "auto" else self.number

    @property
    def first(self) -> int:
        """Number of masks of the first reading."""
        return min(FIRST, self.limit) if self.number == "auto" else self.number

    def draw(self, n_players: int, seed: int) -> NDArray[np.bool_]:
        """Draw as many masks as may be evaluated: bool, (masks, players)."""
        drawn = draw_masks(n_players, self.limit, self.design, shown=self.shown, seed=seed)
        return np.asarray(drawn.numpy())


def check_masks(n_players: int, number: int, order: int) -> None:
    """Check that masks suffice for a sparse reading.

    Parameters
    ----------
    n_players : int
    number : int
        Number of masks.
    order : int
        The largest number of players in a term.

    Raises
    ------
    BequeathError
        If there are too many players or too few masks; says what is needed.
    """
    if n_players > MOST_PLAYERS:
        raise BequeathError(
            f"players: {n_players}; sparse readings take at most {MOST_PLAYERS}: use a coarser grid, or fewer parts"
        )
    if order > n_players:
        raise BequeathError(f"decomposition.order: {order} for {n_players} players; give at most {n_players}")
    needed = least_masks(n_players, order)
    if number < needed:
        raise BequeathError(
            f"masks: {number}; {needed} are needed to tell terms up to order {order} of {n_players} players apart: "
            "give more masks, or a smaller decomposition.order"
        )


def _by_number(value: Any) -> Any:
    return {"number": value} if isinstance(value, (int, str)) and not isinstance(value, bool) else value


MasksConfig = Annotated[Masks, BeforeValidator(_by_number)]
