"""Interactions of two or more models on the same samples, compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.alignment import align
from bequeath.knowledge.calibration import mismatched
from bequeath.knowledge.regions import Region, regions, shared
from bequeath.knowledge.shares import MEASURES, Array, Share, Strengths
from bequeath.lattice.interactions import TYPES, Interactions
from bequeath.lattice.subsets import members

if TYPE_CHECKING:
    import pandas

Normalise = Literal["none", "output", "l1"]

ROLES = ("before", "after", "control")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Interactions of models on the same samples, ready to be compared; `compare` makes it.

    Attributes
    ----------
    effects : dict of str to Tensor
        Interactions by role, shape (samples, 2, subsets), AND first, in units of the value function: ``before``,
        ``after``, ``control`` where there is one, and ``after twin`` and the like. All 2**n subsets, or, of sparse
        readings, those that any of the models has a term of.
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
        before, after = self.values["before"], self.values["after"]
        pairs = {"preserved": (before, after)}
        if self.has_control:
            pairs["relearned"] = torch.sign(before) * self.preserved, self.values["control"]

        def chance(labels: tuple[int, ...] | None) -> dict[str, Array]:
            return {name: self._sums(mismatched(*pair, labels)) for name, pair in pairs.items()}

        strengths = {name: value.abs() for name, value in self.values.items()} | {
            name: getattr(self, name) for name in pairs
        }
        return Strengths(
            {name: self._sums(strength) for name, strength in strengths.items()},
            chance(None),
            None if self.labels is None else chance(self.labels),
        )

    def _sums(self, strength: Tensor) -> Array:
        """Over types, by order from 1: (samples, most)."""
        return self.sum_by_order(strength).sum(1)[:, 1:].numpy()

    def share(self, name: str) -> Share:
        """One of the four shares over all samples and interactions, beside its chance level (METHOD 5).

        Parameters
        ----------
        name : {"preserved", "discarded", "new", "relearned"}
            Preserved and discarded are shares of the strength before, new is one of the strength after, relearned
            (the paper's R) of the preserved strength.

        Raises
        ------
        BequeathError
            If there is no such share, or it needs a control.

        Examples
        --------
        >>> found = bq.compare(before=i1, after=i2).share("preserved")
        >>> found.observed, (found.low, found.high), found.floor
        """
        self._check_measure(name)
        return self.strengths.share(name)

    def pair(self, first: str, second: str) -> Share:
        """s(A, B): the share of one model's strength that another has too, beside its chance level.

        Parameters
        ----------
        first, second : str
            Roles, as in `effects`.
        """
        for role in (first, second):
            if role not in self.effects:
                raise BequeathError(f"pair: no model {role!r}; there are {', '.join(self.effects)}")
        roles = {"before": first, "after": second}
        both = replace(
            self,
            effects={role: self.effects[model] for role, model in roles.items()},
            scale={role: self.scale[model] for role, model in roles.items()},
        )
        return both.share("preserved")

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
    for name, interactions in given.items():
        _check_alike(name, interactions, before)
    samples = before.offset.numel()
    if labels is not None and len(labels) != samples:
        raise BequeathError(f"labels: {len(labels)} for {samples} samples")
    aligned = align(given)
    effects = aligned.effects
    if salient is not None and len(aligned.orders):
        for name, effect in effects.items():
            strength = effect.abs()
            keep = strength > salient * strength.amax((-1, -2), keepdim=True)
            effects[name] = torch.where(keep, effect, 0.0)
    scale = {name: _scale(effect, given[name], normalise) for name, effect in effects.items()}
    return Comparison(
        effects,
        scale,
        aligned.orders,
        aligned.most,
        before.players,
        normalise,
        salient,
        None if labels is None else tuple(labels),
        aligned.subsets,
    )


def _check_alike(name: str, interactions: Interactions, first: Interactions) -> None:
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


def _scale(effects: Tensor, reading: Interactions, normalise: Normalise) -> float:
    if normalise == "none":
        return 1.0
    if normalise == "output":
        scale = reading.total.abs().mean().item()
        if not math.isfinite(scale):
            raise BequeathError(
                'normalise: "output" needs v(N), which a sparse reading does not know; evaluate the full mask, too'
            )
    else:
        scale = effects.abs().sum((-1, -2)).mean().item()
    return scale if scale > 0 else 1.0
