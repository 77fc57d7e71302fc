"""Interactions of two or more models on the same samples, compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.alignment import align, check_alike
from bequeath.knowledge.crossings import strength
from bequeath.knowledge.regions import Region, regions, shared
from bequeath.knowledge.repeats import Normalise, Repeated, Second, salient_part, scale_of
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
    """Interactions of models on the same samples, ready to be compared; `compare` makes it.

    Attributes
    ----------
    effects : dict of str to Tensor
        Interactions by role, (samples, 2, subsets), AND first, in units of the value: ``before``, ``after``,
        ``control``, ``after twin`` and the like. All 2**n subsets; of sparse readings, those of any model's terms.
    scale : dict of str to float
        What each model's interactions are divided by, in those units.
    orders : Tensor
        |T| of each subset, int64, shape (subsets,).
    most : int
        The largest order that the readings can have: n, or what sparse ones looked for.
    players : tuple of str
        Names of the n players.
    normalise : {"l1", "output", "none"}
        How `scale` was chosen.
    salient : float or None
        Interactions up to this share of their sample's largest were left out.
    labels : tuple of int or None
        Classes of the samples.
    subsets : tuple of tuple of int, or None
        The players of each subset; None where all 2**n are there.
    readings, retests : dict of str to Interactions
        What was compared, by role, and readings of the same models on an equivalent game.
    not_measurable : dict of str to str
        By role: why there is nothing to be read in a model.
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
        """All shares, from chance to the same models read again: see `bequeath.plots.shares`."""
        from bequeath import plots

        return plots.shares(self, ax=ax)

    @property
    def has_control(self) -> bool:
        """Whether there is a control, so that something can be relearned."""
        return "control" in self.effects

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """`effects` divided by `scale`: what is compared."""
        return {name: effects / self.scale[name] for name, effects in self.effects.items()}

    @cached_property
    def preserved(self) -> Tensor:
        """Strength that before and after share, (samples, 2, subsets)."""
        return shared(self.values["before"], self.values["after"])

    @cached_property
    def discarded(self) -> Tensor:
        """The rest of the strength before, (samples, 2, subsets)."""
        return self.values["before"].abs() - self.preserved

    @cached_property
    def new(self) -> Tensor:
        """The rest of the strength after, (samples, 2, subsets)."""
        return self.values["after"].abs() - self.preserved

    @cached_property
    def relearned(self) -> Tensor:
        """The preserved strength that the control has too, (samples, 2, subsets).

        Raises
        ------
        BequeathError
            If there is no control.
        """
        self._check_measure("relearned")
        return shared(*(self.values[role] for role in ROLES))

    @cached_property
    def regions(self) -> dict[Region, Tensor]:
        """Signed effects of every set of models, each of shape (samples, 2, subsets) (`bequeath.knowledge.regions`).

        For every model, the regions that it belongs to add up to its interactions.
        """
        return regions(self.values)

    @cached_property
    def raw(self) -> Comparison:
        """The same comparison in the units of the value function, whatever the models' scales are."""
        if self.normalise == "none":
            return self
        return replace(self, scale=dict.fromkeys(self.scale, 1.0), normalise="none")

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that there are: without a control nothing is relearned."""
        return MEASURES if self.has_control else MEASURES[:-1]

    @cached_property
    def strengths(self) -> Strengths:
        """Sums of strengths by sample and order: what shares, claims and pooled figures are made of."""
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
        """One of the four shares over all samples and interactions, from its zero to its one (METHOD 5).

        Parameters
        ----------
        name : {"preserved", "discarded", "new", "relearned"}
            Preserved and discarded are shares of the strength before, new is one of the strength after, relearned
            (the paper's R) of the preserved strength.
        second : {"split", "retest", "twin"}, optional
            Where the ceiling comes from: halves of the masks, the retests, the twins. By default the first that there
            is.

        Raises
        ------
        BequeathError
            If there is no such share or second reading, or it needs a control.

        Examples
        --------
        >>> found = bq.compare(before=i1, after=i2).share("preserved")
        >>> found.observed, found.floor, found.ceiling
        >>> found.corrected, (found.low, found.high), found.p, found.reason
        """
        self._check_measure(name)
        if second is not None and second not in self.strengths.seconds:
            raise BequeathError(
                f"share: no second readings by {second!r}; there are {', '.join(self.strengths.seconds)}"
            )
        return self.strengths.share(name, second)

    def pair(self, first: str, second: str) -> Share:
        """s(A, B): the share of one model's strength that another has too, from its zero to its one.

        Parameters
        ----------
        first, second : str
            Roles, as in `effects`.
        """
        for role in (first, second):
            if role not in self.effects:
                raise BequeathError(f"pair: no model {role!r}; there are {', '.join(self.effects)}")
        kind, both = self._repeated.usual
        crossed = both.pair(first, second)
        reasons = {
            place: self.not_measurable[role]
            for place, role in (("before", first), ("after", second))
            if role in self.not_measurable
        }
        size = {"before": strength(self.values[first], self.orders, self.most)}
        return Strengths(size, {kind: {"preserved": crossed}}, self.labels, reasons).share("preserved")

    def sum_by_order(self, x: Tensor) -> Tensor:
        """Sums of (..., subsets) over the subsets of each order: (..., most + 1)."""
        return x.new_zeros(*x.shape[:-1], self.most + 1).index_add_(-1, self.orders, x)

    def members(self, subset: int) -> tuple[int, ...]:
        """The players of one of the subsets, by its place."""
        return members(subset, len(self.players)) if self.subsets is None else self.subsets[subset]

    def by_order(self) -> dict[str, Tensor]:
        """Strengths by type and order: for each model and each measure, (samples, 2, most + 1)."""
        strengths = {name: value.abs() for name, value in self.values.items()}
        strengths |= {name: getattr(self, name) for name in self.measures}
        return {name: self.sum_by_order(strength) for name, strength in strengths.items()}

    def to_frame(self) -> pandas.DataFrame:
        """Mean strengths over samples: one row per type and order, one column per model and measure."""
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
            raise BequeathError(f"share: {name!r}; there are {', '.join(self.measures)}")
        if name not in self.measures:
            raise BequeathError(f"{name}: needs a control; give compare(..., control=)")


def compare(
    *,
    before: Interactions,
    after: Interactions,
    control: Interactions | None = None,
    twins: Mapping[str, Interactions | Sequence[Interactions]] | None = None,
    normalise: Normalise = "l1",
    salient: float | None = None,
    labels: Sequence[int] | None = None,
    retests: Mapping[str, Interactions] | None = None,
    not_measurable: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare models' interactions on the same samples (METHOD 5 and 7; arXiv 2410.08455, Sec. 3).

    Parameters
    ----------
    before, after : Interactions
        Of two models: before and after an update, two checkpoints, two seeds. Of the same samples (or one), players,
        masks and baseline; exact (`decompose`) or sparse (`fit`, `explain`) readings.
    control : Interactions, optional
        Of a model that did not begin as `before` did, such as one that started at random.
    twins : mapping of str to Interactions or sequences of them, optional
        By role, other seeds of the same recipe: what the recipe knows, not one run of it.
    normalise : {"l1", "output", "none"}
        Divide each model's interactions by its mean L1 norm over the samples (the default: each on its own scale), or
        by its mean |v(N) - v(0)|; or take them as they are, in units of the value function. `Comparison.raw` has the
        latter in any case.
    salient : float, optional
        Count only interactions above this share of their sample's largest; all by default.
    labels : sequence of int, optional
        Classes of the samples. With them the chance level is told within classes, too.
    retests : mapping of str to Interactions, optional
        By role, the same models on the same samples read by an equivalent game: a shifted grid, another baseline. A
        sample that was not read again is nan.
    not_measurable : mapping of str to str, optional
        By role: why there is nothing to be read in a model, such as a head that was never trained. Shares that it
        takes part in have this reason.

    Raises
    ------
    BequeathError
        If players or samples differ, a role is unknown, or an argument is out of range.
    """
    given = {"before": before, "after": after} | ({} if control is None else {"control": control})
    for role, of_role in (twins or {}).items():
        if role not in given:
            raise BequeathError(f"twins: no model {role!r}; there are {', '.join(given)}")
        several = [of_role] if isinstance(of_role, Interactions) else list(of_role)
        for number, twin in enumerate(several, 1):
            given[f"{role} twin" + (f" {number}" if len(several) > 1 else "")] = twin
    if normalise not in ("none", "output", "l1"):
        raise BequeathError(f'normalise: "l1", "output" or "none", not {normalise!r}')
    if salient is not None and not 0 < salient < 1:
        raise BequeathError(f"salient: a share between 0 and 1, not {salient}")
    again = dict(retests or {})
    for name, reasons in (("retests", again), ("not_measurable", not_measurable or {})):
        for role in reasons:
            if role not in given:
                raise BequeathError(f"{name}: no model {role!r}; there are {', '.join(given)}")
    for name, interactions in (given | {f"retests.{role}": one for role, one in again.items()}).items():
        check_alike(name, interactions, before)
    samples = before.offset.numel()
    if labels is not None and len(labels) != samples:
        raise BequeathError(f"labels: {len(labels)} for {samples} samples")
    aligned = align(given)
    effects = {name: salient_part(one, salient) for name, one in aligned.effects.items()}
    scale = {name: scale_of(one, given[name], normalise) for name, one in effects.items()}
    return Comparison(
        effects,
        scale,
        aligned.orders,
        aligned.most,
        before.players,
        normalise,
        salient,
        None if labels is None else tuple(int(label) for label in labels),
        aligned.subsets,
        given,
        again,
        dict(not_measurable or {}),
    )
