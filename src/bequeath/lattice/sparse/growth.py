"""How many masks are enough: they are doubled until the readings stop improving (docs/sparse.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bequeath.lattice.interactions import Interactions

# Masks of the first look, and of the last one unless another limit is given.
FIRST, LIMIT = 128, 2048
# Two doublings pay if they raise the mean held-out R2 by so much, and lower the terms' relative error by such a share.
# Two, as the R2 of few tables is rough.
_PATIENCE, _R2_GAIN, _ERROR_GAIN = 2, 0.01, 0.05


@dataclass(frozen=True)
class Look:
    """The readings of all tables at one number of masks.

    Attributes
    ----------
    masks : int
    r2 : float
        Mean held-out R2 over the tables whose values vary; nan where none do.
    error : float
        Mean over tables of the terms' standard errors, summed, by their strengths, summed; nan without terms.
    """

    masks: int
    r2: float
    error: float

    @classmethod
    def at(cls, masks: int, readings: Sequence[Interactions]) -> Look:
        """What sparse readings of one number of masks come to."""
        r2 = torch.cat([one.r2.reshape(-1) for one in readings])
        errors = torch.cat([_relative_error(one) for one in readings])
        return cls(masks, float(r2.nanmean()), float(errors.nanmean()))


def _relative_error(reading: Interactions) -> torch.Tensor:
    """Of each table, (tables,)."""
    listed = reading.listed
    assert listed is not None
    error = listed.error.reshape(-1, len(listed)).nansum(-1)
    return error / listed.value.abs().reshape(-1, len(listed)).sum(-1)


def why_enough(looks: Sequence[Look], n_players: int, limit: int = LIMIT) -> str | None:
    """Why no more masks are worth their evaluation, in words; None where twice as many are.

    Parameters
    ----------
    looks : sequence of Look
        So far, each at twice the masks of the one before.
    n_players : int
    limit : int
        Masks at most.
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
        seen = ", ".join(f"{look.r2:.3f}" for look in (before, *since))
        return f"two doublings do not raise held-out R2 by {_R2_GAIN} ({seen})"
    if min(look.error for look in since) > (1 - _ERROR_GAIN) * before.error:
        seen = ", ".join(f"{look.error:.3f}" for look in (before, *since))
        return f"two doublings do not lower the terms' relative error by {_ERROR_GAIN:.0%} ({seen})"
    return None


def next_number(looks: Sequence[Look], n_players: int, limit: int = LIMIT) -> int:
    """Masks of the next look: twice the last, within the limit and what there is."""
    number = min(2 * looks[-1].masks if looks else FIRST, limit)
    return min(number, 2**n_players) if n_players < 63 else number
