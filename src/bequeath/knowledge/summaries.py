"""Summaries of a comparison over samples, with intervals: by order, by region, of the ledger, along training."""

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

# Parts below this share of the largest output are rounding errors.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class OrderRow:
    """Interactions of one type ("all", "and", "or") and one order (0: all orders together).

    Attributes
    ----------
    strength : dict of str to Estimate
        For each model (by its role) and each measure: mean over samples of the sum of |I|.
    shares : dict of str to Estimate
        Preserved and relearned share; NaN without any strength.
    cancellation : dict of str to Estimate
        |sum I| / sum |I| of each model and of the discarded part. 1: all effects have the same sign; 0: they cancel;
        NaN: there are none.
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
    models : tuple of str
        The set of models.
    strength : Estimate
        Mean over samples of the sum of |I|, in the units of the comparison.
    by_order : list of Estimate
        The same by order, from 1.
    effect : dict of str to Estimate
        For each model of the set: mean over samples of the sum of I, in the raw units of the value.
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
        The whole output v(N) - v(0), the effect of a region, the constant of a sparse reading, or the remainder.
    models : tuple of str or None
        The region's models; None for other parts.
    effect : Estimate
        Signed mean, in the raw units of the value. All parts add up to v(N) - v(0).
    share : Estimate or None
        Effect as a share of the whole output. None if the whole output is too close to 0: its interval is wider than
        itself.
    positive_without : Estimate
        Share of samples whose v(N) minus this part is above 0. For the whole output, share of samples with v(N) > 0.
    """

    part: str
    models: Region | None
    effect: Estimate
    share: Estimate | None
    positive_without: Estimate


@dataclass(frozen=True)
class Point:
    """One checkpoint of a training run, over samples (and seeds).

    Attributes
    ----------
    step : int
        Training step.
    corrected, observed, floor : Estimate
        Similarity to the run's last checkpoint. Corrected: 0 at chance level, 1 at the ceiling. Observed: uncorrected,
        across two readings if there are two. Floor: chance level.
    similarity, by_order : Estimate, list of Estimate
        Similarity of the whole readings: over all orders, and by order from 1.
    strength, strength_by_order, mean_order
        Sum of |I| over all orders, and by order from 1, in raw units; mean order weighted by strength.
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
    """|sum I| / sum |I| of each column: ratio of sums over samples of two arrays (samples, columns).

    Parameters
    ----------
    effects, strength : ndarray
        Sums of I and of |I|, (samples, columns).

    Returns
    -------
    list of Estimate
        One for each column: 1 if all effects have the same sign, 0 if they cancel.
    """
    return ratio_estimates(np.abs(effects), strength)


def order_rows(comparison: Comparison) -> list[OrderRow]:
    """One row for each type and order. Singletons are counted as AND, so there is no row for OR and order 1."""
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
                part: {name: estimates[index * size + order] for name, estimates in by_name.items()}
                for part, by_name in parts.items()
            },
        )
        for index, kind in enumerate(("all", "and", "or"))
        for order in range(size)
        if not (kind == "or" and order == 1)
    ]


def _with_all(by_type: Tensor) -> NDArray[np.float64]:
    """(samples, 2, n + 1) by type and order -> (samples, 3, n + 1): all types, AND, OR; order 0 is over all orders."""
    values = torch.cat((by_type.sum(1, keepdim=True), by_type), dim=1).clone()
    values[..., 0] = values[..., 1:].sum(-1)
    return values.numpy()


def region_rows(comparison: Comparison) -> list[RegionRow]:
    """One row for every set of the models compared."""
    rows = []
    for region, signed in comparison.regions.items():
        strength = comparison.sum_by_order(signed.abs().sum(1)).numpy()
        effect = signed.sum((-1, -2)).numpy()
        rows.append(
            RegionRow(
                region,
                mean_estimate(strength.sum(1)),
                mean_estimates(strength[:, 1:]),
                {model: mean_estimate(effect * comparison.scale[model]) for model in region},
            )
        )
    return rows


def ledger_rows(ledger: Ledger) -> list[LedgerRow]:
    """Rows of a ledger: the whole output, its regions, and constant and remainder unless they are 0."""
    rows: list[tuple[str, Region | None, Tensor]] = [("total", None, ledger.total)]
    rows += [("region", region, effect) for region, effect in ledger.parts.items()]
    rounding = _ROUNDING * float(ledger.total.abs().max())
    rows += [
        (part, None, effect)
        for part, effect in (("constant", ledger.constant), ("unexplained", ledger.unexplained))
        if float(effect.abs().max()) > rounding
    ]
    whole = mean_estimate(ledger.total)
    # Shares of a total near 0 are meaningless.
    clear = np.isfinite(whole.low) and whole.high - whole.low <= abs(whole.mean)
    return [
        LedgerRow(
            part,
            region,
            mean_estimate(effect),
            ratio_estimate(effect, ledger.total) if clear else None,
            mean_estimate(ledger.positive_without(0.0 if part == "total" else effect)),
        )
        for part, region, effect in rows
    ]


def points(run: Dynamics) -> list[Point]:
    """One point for each checkpoint of a run."""

    def columns(values: Tensor) -> list[list[Estimate]]:
        """Means of (..., checkpoints, samples, n + 1) over samples, by checkpoint; entry 0 is over all orders."""
        by_sample = np.moveaxis(values.numpy(), -3, -2)
        size = by_sample.shape[-1]
        flat = mean_estimates(by_sample.reshape(*by_sample.shape[:-2], -1))
        return [flat[start : start + size] for start in range(0, len(flat), size)]

    observed, floor, _ = run.approach.levels()
    levels = zip(run.approach.corrected(), observed, floor, strict=True)
    rows = zip(
        run.steps, levels, columns(run.similarity), columns(run.strength), run.mean_order(), strict=True
    )
    return [
        Point(int(step), *level, similar[0], similar[1:], strong[0], strong[1:], mean_order)
        for step, level, similar, strong, mean_order in rows
    ]
