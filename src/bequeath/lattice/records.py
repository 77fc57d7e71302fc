"""Records of a result: its certificate, and single interactions."""

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
    """A proof of how good a decomposition is: no split of the table has an L1 norm below `lower_bound`.

    All fields have the leading shape (...) of the tables. Source: docs/decomposition.md; for sparse readings
    docs/sparse.md.

    Attributes
    ----------
    objective : Tensor
        L1 norm of the split, in the units of the tables. Sparse reading: objective of its lasso, in squared units.
    lower_bound : Tensor
        Lower bound on the objective, from the dual problem, in the same units.
    resolution : Tensor
        Relative duality gap of the ridge problem that selects one solution among equally sparse ones. Lower is better;
        0 for a sparse reading.
    iterations : Tensor
        Number of iterations of the solver.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> interactions = bq.decompose(torch.tensor([0.0, 1.0, 2.0, 4.0]), "and-or")
    >>> bool(interactions.certificate.gap < 1e-3)
    True
    """

    objective: Tensor
    lower_bound: Tensor
    resolution: Tensor
    iterations: Tensor

    __repr__ = one_line

    @property
    def gap(self) -> Tensor:
        """Relative duality gap (objective - lower bound) / objective; lower is better, 0 for a table of zeros."""
        difference = self.objective - self.lower_bound
        return torch.where(self.objective > 0, difference / self.objective, 0.0).clamp(min=0.0)

    def __getitem__(self, index: Any) -> Certificate:
        return Certificate(*(getattr(self, name)[index] for name in CERTIFICATE_FIELDS))


CERTIFICATE_FIELDS = tuple(field.name for field in fields(Certificate))


class Term(NamedTuple):
    """One interaction with its name.

    Attributes
    ----------
    type : str
        "and" or "or".
    subset : int
        Its players as a bitmask: bit i is player i.
    name : str
        Names of its players, such as ``{good, film}``.
    value : float
        Its effect, in the units of the value function.
    error : float or None
        Standard error over masks; NaN without resampled fits, None for an exact reading.
    chosen : float or None
        Share of the fits on resampled masks that choose the term with this sign, 0 to 1; NaN without resampled fits,
        None for an exact reading.
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
        """Numbers of its players, in ascending order."""
        return members(self.subset, self.subset.bit_length())
