"""Verdicts on claims, from estimates and their intervals.

Source: docs/method.md, section "Claims".
"""

from __future__ import annotations

import numpy as np

from bequeath.knowledge.share import Share
from bequeath.knowledge.statistics import Estimate

# "Little" means less than this.
_LITTLE = 0.5
# Differences below this are rounding errors.
_ROUNDING = 1e-9

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURABLE = (
    "supported",
    "contradicted",
    "undecided",
    "not measurable",
)
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURABLE)


def little(share: Share) -> str:
    """Whether a corrected share is below one half: supported or contradicted if its whole interval says so."""
    if share.high < _LITTLE:
        return SUPPORTED
    return CONTRADICTED if share.low > _LITTLE else UNDECIDED


def paper_verdict(observed: float | None) -> str:
    """The verdict by the papers' own rule: little is preserved if the uncorrected observed share is below one half."""
    if observed is None or not np.isfinite(observed):
        return NOT_MEASURABLE
    return SUPPORTED if observed < _LITTLE else CONTRADICTED


def above_zero(estimate: Estimate) -> str:
    """Whether an estimate is above 0: supported or contradicted if its whole interval says so."""
    if estimate.low > _ROUNDING:
        return SUPPORTED
    return CONTRADICTED if estimate.high < -_ROUNDING else UNDECIDED


def below_zero(estimate: Estimate) -> str:
    """Whether an estimate is below 0: supported or contradicted if its whole interval says so."""
    return flipped(above_zero(estimate))


def flipped(verdict: str) -> str:
    """Supported becomes contradicted and the other way round; other verdicts stay."""
    return {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}.get(verdict, verdict)


def all_supported(*verdicts: str) -> str:
    """Supported if all verdicts are; contradicted if any verdict is; else undecided."""
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return SUPPORTED if set(verdicts) == {SUPPORTED} else UNDECIDED
