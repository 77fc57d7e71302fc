"""A comparison of the interactions of two or more models on the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.crossings import strength
from bequeath.knowledge.regions import Region, regions, shared
from bequeath.knowledge.repeats import Normalise, Repeated, Second
from bequeath.knowledge.roles import ROLES
from bequeath.knowledge.share import Share
from bequeath.knowledge.shares import MEASURES, Strengths
from bequeath.lattice.interactions import TYPES, Interactions
from bequeath.lattice.subsets import members

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Comparison:
    """The interactions of several models on the same samples. `compare` makes it.

    Source: docs/method.md, sections "Measures with a zero and a one" and "Any number of models".

    Attributes
    ----------
    effects : dict of str to Tensor
        Interactions by role (``before``, ``after``, ``control``, ``after twin`` and so on), (samples, 2, subsets), AND
        first, in units of the value. Exact readings have all 2**n subsets, sparse ones the union of their terms.
    scale : dict of str to float
        By role: the number that the interactions are divided by, in units of the value.
    orders : Tensor
        Order |T| of each subset, int64, shape (subsets,).
    most : int
        The largest order that the readings can have: n for exact ones, the order of the fit for sparse ones.
    players : tuple of str
        Names of the n players.
    normalise : {"l1", "output", "none"}
        How `scale` is chosen.
    salient : float or None
        Interactions up to this share of the largest one of their sample are left out.
    labels : tuple of int or None
        Classes of the samples.
    subsets : tuple of tuple of int, or None
        The players of each subset; None: all 2**n subsets in the order of their bitmasks.
    readings, retests : dict of str to Interactions
        By role: the readings, and readings of the same models on an equivalent game.
    not_measurable : dict of str to str
        By role: the reason why a model has no meaningful interactions.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> before = bq.decompose(torch.tensor([[0.0, 1.0, 2.0, 4.0]]), "and")
    >>> after = bq.decompose(torch.tensor([[0.0, 1.0, 0.0, 1.0]]), "and")
    >>> comparison = bq.compare(before=before, after=after, normalise="none")
    >>> comparison.preserved.sum().item(), comparison.discarded.sum().item(), comparison.new.sum().item()
    (1.0, 3.0, 0.0)
    """

    effects: dict[str, Tensor]
    scale: dict[str, float]
    orders: Tensor
    most: int
    players: tuple[str, ...]
    normalise: Normalise
    salient: float | None
    labels: tuple[int, ...] | None = None
    subsets: tuple[tuple[int, ...], ...] | None = None
    readings: Mapping[str, Interactions] = field(default_factory=dict)
    retests: Mapping[str, Interactions] = field(default_factory=dict)
    not_measurable: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        samples = next(iter(self.effects.values())).shape[0]
        roles = ", ".join(self.effects)
        return f"Comparison({roles}: {samples} samples, {len(self.players)} players, normalise={self.normalise!r})"

    def _repr_html_(self) -> str:
        from bequeath import notebook

        return notebook.comparison_html(self)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """All shares, between chance level and ceiling: see `bequeath.plots.shares`."""
        from bequeath import plots

        return plots.shares(self, ax=ax)

    @property
    def has_control(self) -> bool:
        """Whether there is a control, which the measure ``relearned`` needs."""
        return "control" in self.effects

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """`effects` divided by `scale`: the numbers that are compared."""
        return {name: effects / self.scale[name] for name, effects in self.effects.items()}

    @cached_property
    def preserved(self) -> Tensor:
        """Strength that both before and after have, (samples, 2, subsets)."""
        return shared(self.values["before"], self.values["after"])

    @cached_property
    def discarded(self) -> Tensor:
        """Strength before minus preserved strength, (samples, 2, subsets)."""
        return self.values["before"].abs() - self.preserved

    @cached_property
    def new(self) -> Tensor:
        """Strength after minus preserved strength, (samples, 2, subsets)."""
        return self.values["after"].abs() - self.preserved

    @cached_property
    def relearned(self) -> Tensor:
        """Preserved strength that the control also has, (samples, 2, subsets).

        Raises
        ------
        BequeathError
            If there is no control.
        """
        self._check_measure("relearned")
        return shared(*(self.values[role] for role in ROLES))

    @cached_property
    def regions(self) -> dict[Region, Tensor]:
        """Signed effects of each set of models, (samples, 2, subsets) each (`bequeath.knowledge.regions`).

        For each model, the regions that it belongs to add up to its interactions.
        """
        return regions(self.values)

    @cached_property
    def raw(self) -> Comparison:
        """The same comparison in the units of the value function, without a scale."""
        if self.normalise == "none":
            return self
        return replace(self, scale=dict.fromkeys(self.scale, 1.0), normalise="none")

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures; ``relearned`` is among them only with a control."""
        return MEASURES if self.has_control else MEASURES[:-1]

    @cached_property
    def strengths(self) -> Strengths:
        """Strengths by sample and order, from which shares and claims are computed."""
        names = ("preserved", "relearned") if self.has_control else ("preserved",)
        parts = {**self.values, **{name: getattr(self, name) for name in names}}
        return Strengths(
            {name: strength(part, self.orders, self.most) for name, part in parts.items()},
            {second: self._repeated.crossed(second) for second in self._repeated.seconds},
            self.labels,
            self.not_measurable,
        )

    @cached_property
    def _repeated(self) -> Repeated:
        return Repeated(self.readings, self.retests, self.normalise, self.salient)

    def share(self, name: str, second: Second | None = None) -> Share:
        """One of the four shares over all samples and interactions, with chance level, ceiling and interval.

        Parameters
        ----------
        name : {"preserved", "discarded", "new", "relearned"}
            Preserved and discarded are shares of the strength before, new is a share of the strength after, relearned
            (R in the paper) is a share of the preserved strength.
        second : {"split", "retest", "twin"}, optional
            Second readings that give the ceiling: halves of the masks, retests, or twins. By default the first kind
            that exists.

        Returns
        -------
        Share

        Raises
        ------
        BequeathError
            If there is no such share or second reading, or it needs a control.
        """
        self._check_measure(name)
        if second is not None and second not in self.strengths.seconds:
            raise BequeathError(
                f"share: no second readings by {second!r}; give one of {', '.join(self.strengths.seconds)}"
            )
        return self.strengths.share(name, second)

    def pair(self, first: str, second: str) -> Share:
        """The share s(A, B) of the first model's strength that the second model also has.

        Parameters
        ----------
        first, second : str
            Roles, as in `effects`.

        Returns
        -------
        Share

        Raises
        ------
        BequeathError
            If there is no model with this role.
        """
        for role in (first, second):
            if role not in self.effects:
                raise BequeathError(f"pair: no model {role!r}; give one of {', '.join(self.effects)}")
        kind, repeats = self._repeated.usual
        crossed = repeats.pair(first, second)
        reasons = {
            as_role: self.not_measurable[role]
            for as_role, role in (("before", first), ("after", second))
            if role in self.not_measurable
        }
        size = {"before": strength(self.values[first], self.orders, self.most)}
        return Strengths(size, {kind: {"preserved": crossed}}, self.labels, reasons).share("preserved")

    def sum_by_order(self, x: Tensor) -> Tensor:
        """Sums of (..., subsets) over the subsets of each order: (..., most + 1)."""
        return x.new_zeros(*x.shape[:-1], self.most + 1).index_add_(-1, self.orders, x)

    def members(self, subset: int) -> tuple[int, ...]:
        """The players of the subset at this index."""
        return members(subset, len(self.players)) if self.subsets is None else self.subsets[subset]

    def by_order(self) -> dict[str, Tensor]:
        """Strengths by type and order, (samples, 2, most + 1), of each model and each measure."""
        strengths = {name: value.abs() for name, value in self.values.items()}
        strengths |= {name: getattr(self, name) for name in self.measures}
        return {name: self.sum_by_order(strength) for name, strength in strengths.items()}

    def to_frame(self) -> pandas.DataFrame:
        """Mean strengths over samples: one row for each type and order, one column for each model and measure."""
        import pandas

        sums = {name: total.mean(0) for name, total in self.by_order().items()}
        rows = [
            {"type": kind, "order": order}
            | {name: total[index, order].item() for name, total in sums.items()}
            for index, kind in enumerate(TYPES)
            for order in range(1, self.most + 1)
        ]
        return pandas.DataFrame(rows)

    def _check_measure(self, name: str) -> None:
        if name not in MEASURES:
            raise BequeathError(f"share: {name!r}; give one of {', '.join(self.measures)}")
        if name not in self.measures:
            raise BequeathError(f"{name}: needs a control; give compare(..., control=...)")
