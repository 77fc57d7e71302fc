"""What a reader must know before relying on findings."""

from __future__ import annotations

from typing import Any

import pytest

from bequeath.study.findings.describe import near_chance


def share(low: float | None, within: float | None = None, reason: str | None = None) -> dict[str, Any]:
    above = None if low is None or reason else low > 0
    return {
        "corrected": 0.3,
        "low": low,
        "high": 0.5,
        "p": 0.3,
        "p_within_classes": within,
        "reason": reason,
        "above_chance": above,
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (share(0.1, 0.01), None),
        (share(0.1), None),
        (share(None), None),
        (share(-0.1, reason="only 7 samples"), None),  # said as not measurable, not twice
        (share(-0.1), "is not clearly above chance: 30% [-10%, 50%]"),
        (share(0.1, 0.27), "but not above that of other samples of the same class (p = 0.27)"),
    ],
)
def test_shares_that_chance_reaches_are_named(given: dict[str, Any], said: str | None) -> None:
    found = near_chance({"preserved": given, "discarded": share(-0.5)})
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
