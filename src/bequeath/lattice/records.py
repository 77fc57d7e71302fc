"""Small records of a result: its certificate, and one interaction by name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bequeath.lattice.subsets import members
from bequeath.printable import one_line

TYPES = ("and", "or")


@dataclass(frozen=True)
class Certificate:
    """How good a sparse split is, proven: no split of the table has an L1 norm below `lower_bound`.

    All fields have the leading shape (...) of the tables; `objective` and `lower_bound` are in the tables' units. Of a
    sparse reading they are those of its lasso, in squared units (docs/sparse.md), and `resolution` is 0.
    `resolution` is the relative duality gap reached on the ridge problem that names *the* solution among equally
    sparse ones: how well the answer is settled.
    """

    objective: Tensor
    lower_bound: Tensor
    resolution: Tensor
    iterations: Tensor

    __repr__ = one_line

    @property
    def gap(self) -> Tensor:
        """Relative duality gap (objective - lower bound) / objective; 0 for an all-zero table."""
        difference = self.objective - self.lower_bound
        return torch.where(self.objective > 0, difference / self.objective, 0.0).clamp(min=0.0)

    def __getitem__(self, index: Any) -> Certificate:
        return Certificate(*(getattr(self, name)[index] for name in CERTIFICATE_FIELDS))


CERTIFICATE_FIELDS = tuple(field.name for field in fields(Certificate))


class Term(NamedTuple):
    """One interaction, named.

    Attributes
    ----------
    type : str
        "and" or "or".
    subset : int
        Bit i is player i.
    name : str
        Such as ``{good, film}``.
    value : float
        In the units of the game.
    error : float or None
        Standard error over masks; nan if no resampled fits were made, None where the reading is exact.
    chosen : float or None
        Share of the fits on resampled masks that choose the term with this sign, 0 to 1; None where the reading is
        exact.
    """

    type: str
    subset: int
    name: str
    value: float
    error: float | None = None
    chosen: float | None = None

    @property
    def kind(self) -> str:
        """The same as `type`."""
        return self.type

    @property
    def players(self) -> tuple[int, ...]:
        """Numbers of the players, in ascending order."""
        return members(self.subset, self.subset.bit_length())
