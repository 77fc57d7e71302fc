"""How many masks are enough: their number is doubled until the readings stop improving (docs/sparse.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bequeath.lattice.interactions import Interactions

# Number of masks at the start, and default limit.
FIRST, LIMIT = 128, 2048
# Doublings that must show no gain before it stops (two, because the R2 of few tables is noisy); smallest gain of the
# mean held-out R2; smallest relative gain of the relative error of the terms.
_PATIENCE, _R2_GAIN, _ERROR_GAIN = 2, 0.01, 0.05


@dataclass(frozen=True)
class Look:
    """A summary of the readings of all tables at one number of masks.

    Attributes
    ----------
    masks : int
        Number of masks.
    r2 : float
        Mean held-out R2 over the tables whose values vary; NaN if none do. Higher is better.
    error : float
        Mean over tables of the sum of the terms' standard errors divided by the sum of their strengths; NaN without
        terms. Lower is better.
    """

    masks: int
    r2: float
    error: float

    @classmethod
    def at(cls, masks: int, readings: Sequence[Interactions]) -> Look:
        """Summarise sparse readings that were made with so many masks."""
        r2 = torch.cat([reading.r2.reshape(-1) for reading in readings])
        errors = torch.cat([_relative_error(reading) for reading in readings])
        return cls(masks, float(r2.nanmean()), float(errors.nanmean()))


def _relative_error(reading: Interactions) -> torch.Tensor:
    """Sum of the standard errors divided by the sum of the strengths of each table, (tables,)."""
    listed = reading.listed
    assert listed is not None
    error = listed.error.reshape(-1, len(listed)).nansum(-1)
    return error / listed.value.abs().reshape(-1, len(listed)).sum(-1)


def why_enough(looks: Sequence[Look], n_players: int, limit: int = LIMIT) -> str | None:
    """The reason to stop, in words; None if the number of masks should be doubled again.

    Parameters
    ----------
    looks : sequence of Look
        All summaries so far, each at twice the number of masks of the one before.
    n_players : int
        Number of players.
    limit : int
        Largest number of masks.

    Returns
    -------
    str or None
    """
    last = looks[-1]
    if n_players < 63 and last.masks >= 2**n_players:
        return f"all {last.masks} masks are evaluated"
    if last.masks >= limit:
        return f"the limit of {limit} masks is reached"
    if math.isnan(last.r2):
        return "the values do not vary"
    if len(looks) <= _PATIENCE:
        return None
    before, since = looks[-1 - _PATIENCE], looks[-_PATIENCE:]
    if max(look.r2 for look in since) < before.r2 + _R2_GAIN:
        values = ", ".join(f"{look.r2:.3f}" for look in (before, *since))
        return f"two doublings do not raise held-out R2 by {_R2_GAIN} ({values})"
    if min(look.error for look in since) > (1 - _ERROR_GAIN) * before.error:
        values = ", ".join(f"{look.error:.3f}" for look in (before, *since))
        return f"two doublings do not lower the terms' relative error by {_ERROR_GAIN:.0%} ({values})"
    return None


def next_number(looks: Sequence[Look], n_players: int, limit: int = LIMIT) -> int:
    """The next number of masks: twice the last one, at most the limit and 2**n."""
    number = min(2 * looks[-1].masks if looks else FIRST, limit)
    return min(number, 2**n_players) if n_players < 63 else number
