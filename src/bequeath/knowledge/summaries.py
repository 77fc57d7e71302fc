"""A comparison in numbers that can be told: by order, by region, of the ledger, along training, each with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.crossings import Array
from bequeath.knowledge.dynamics import Dynamics
from bequeath.knowledge.ledger import Ledger
from bequeath.knowledge.regions import Region
from bequeath.knowledge.shares import WHOLE
from bequeath.knowledge.statistics import (
    Estimate,
    mean_estimate,
    mean_estimates,
    ratio_estimate,
    ratio_estimates,
)

# Of the largest output: what is less is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class OrderRow:
    """Interactions of one type ("all", "and", "or") and one order (0: all orders together).

    Attributes
    ----------
    strength : dict of str to Estimate
        Of each model (by its role) and each measure: mean sum of absolute effects per sample.
    shares : dict of str to Estimate
        Preserved and relearned share; NaN where nothing is there.
    cancellation : dict of str to Estimate
        |sum I| / sum |I| of each model and of what was discarded: 1 where effects pull the same way, 0 where they
        cancel; NaN where there are none.
    """

    type: str
    order: int
    strength: dict[str, Estimate]
    shares: dict[str, Estimate]
    cancellation: dict[str, Estimate]


@dataclass(frozen=True)
class RegionRow:
    """What a set of models has in common.

    Attributes
    ----------
    strength : Estimate
        Mean sum of absolute effects per sample, in the units of the comparison.
    by_order : list of Estimate
        The same by order, from 1.
    effect : dict of str to Estimate
        For each model of the region: mean signed sum, in the raw units of the value.
    """

    models: Region
    strength: Estimate
    by_order: list[Estimate]
    effect: dict[str, Estimate]


@dataclass(frozen=True)
class LedgerRow:
    """A part of a model's output, over samples (and seeds).

    Attributes
    ----------
    part : {"total", "region", "constant", "unexplained"}
        The whole output, what a set of models has in common, what any shown player brings, or what is left.
    models : tuple of str or None
        The region.
    effect : Estimate
        Signed, in the raw units of the value. The parts add up to v(N) - v(0).
    share : Estimate or None
        Of the whole; None where the whole is not well away from 0: its interval is wider than itself.
    positive_without : Estimate
        Share of samples whose v(N) stays above 0 with this part taken out; of the whole output, with nothing taken out.
    """

    part: str
    models: Region | None
    effect: Estimate
    share: Estimate | None
    positive_without: Estimate


@dataclass(frozen=True)
class Point:
    """One checkpoint of a run that was followed, over samples (and seeds).

    Attributes
    ----------
    corrected, observed, floor : Estimate
        Similarity to the run's last checkpoint: from chance (0) to what can be read again (1); as it is, across two
        readings where there are two; and the chance level.
    similarity, by_order : Estimate, list of Estimate
        Of the whole readings, over all orders and from order 1.
    strength, strength_by_order, mean_order
        Of the interactions, in raw units.
    """

    step: int
    corrected: Estimate
    observed: Estimate
    floor: Estimate
    similarity: Estimate
    by_order: list[Estimate]
    strength: Estimate
    strength_by_order: list[Estimate]
    mean_order: Estimate


def cancellation(effects: Array, strength: Array) -> list[Estimate]:
    """|sum I| / sum |I| per column: ratio of sums over samples of two arrays (samples, columns)."""
    return ratio_estimates(np.abs(effects), strength)


def order_rows(comparison: Comparison) -> list[OrderRow]:
    """All types and orders; singletons stand under AND, so there is no row of OR and order 1."""
    strengths = {name: _with_all(total) for name, total in comparison.by_order().items()}
    effects = {name: _with_all(comparison.sum_by_order(value)) for name, value in comparison.values.items()}
    lost = torch.sign(comparison.values["before"]) * comparison.discarded
    effects["discarded"] = _with_all(comparison.sum_by_order(lost))
    samples, _, size = strengths["preserved"].shape

    def flat(values: Array) -> Array:
        return values.reshape(samples, -1)

    parts: dict[str, Mapping[str, list[Estimate]]] = {
        "strength": {name: mean_estimates(flat(values)) for name, values in strengths.items()},
        "shares": {
            name: ratio_estimates(flat(strengths[name]), flat(strengths[WHOLE[name]]))
            for name in ("preserved", "relearned")
            if name in strengths
        },
        "cancellation": {
            name: cancellation(flat(values), flat(strengths[name])) for name, values in effects.items()
        },
    }
    return [
        OrderRow(
            kind,
            order,
            **{
                part: {name: estimates[place * size + order] for name, estimates in of.items()}
                for part, of in parts.items()
            },
        )
        for place, kind in enumerate(("all", "and", "or"))
        for order in range(size)
        if not (kind == "or" and order == 1)
    ]


def _with_all(by_type: Tensor) -> NDArray[np.float64]:
    """(samples, 2, n + 1) by type and order -> (samples, 3, n + 1): all, and, or; order 0 = all orders."""
    values = torch.cat((by_type.sum(1, keepdim=True), by_type), dim=1).clone()
    values[..., 0] = values[..., 1:].sum(-1)
    return values.numpy()


def region_rows(comparison: Comparison) -> list[RegionRow]:
    """Every set of the models compared."""
    found = []
    for region, signed in comparison.regions.items():
        strength = comparison.sum_by_order(signed.abs().sum(1)).numpy()
        effect = signed.sum((-1, -2)).numpy()
        found.append(
            RegionRow(
                region,
                mean_estimate(strength.sum(1)),
                mean_estimates(strength[:, 1:]),
                {model: mean_estimate(effect * comparison.scale[model]) for model in region},
            )
        )
    return found


def ledger_rows(book: Ledger) -> list[LedgerRow]:
    """The whole output first, then its parts; constant and unexplained where there are any."""
    rows: list[tuple[str, Region | None, Tensor]] = [("total", None, book.total)]
    rows += [("region", region, effect) for region, effect in book.parts.items()]
    rounding = _ROUNDING * float(book.total.abs().max())
    rows += [
        (part, None, effect)
        for part, effect in (("constant", book.constant), ("unexplained", book.unexplained))
        if float(effect.abs().max()) > rounding
    ]
    whole = mean_estimate(book.total)
    # A share of a total near 0 is any number whatever.
    clear = np.isfinite(whole.low) and whole.high - whole.low <= abs(whole.mean)
    return [
        LedgerRow(
            part,
            region,
            mean_estimate(effect),
            ratio_estimate(effect, book.total) if clear else None,
            mean_estimate(book.positive_without(0.0 if part == "total" else effect)),
        )
        for part, region, effect in rows
    ]


def points(run: Dynamics) -> list[Point]:
    """The run's checkpoints."""

    def columns(values: Tensor) -> list[list[Estimate]]:
        """Of (..., checkpoints, samples, n + 1), by checkpoint: all orders first."""
        by_sample = np.moveaxis(values.numpy(), -3, -2)
        size = by_sample.shape[-1]
        flat = mean_estimates(by_sample.reshape(*by_sample.shape[:-2], -1))
        return [flat[place : place + size] for place in range(0, len(flat), size)]

    observed, floor, _ = run.approach.levels()
    levels = zip(run.approach.corrected(), observed, floor, strict=True)
    rows = zip(
        run.steps, levels, columns(run.similarity), columns(run.strength), run.mean_order(), strict=True
    )
    return [
        Point(int(step), *level, similar[0], similar[1:], strong[0], strong[1:], mean_order)
        for step, level, similar, strong, mean_order in rows
    ]
