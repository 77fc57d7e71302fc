"""What a reader must know before relying on findings."""

from __future__ import annotations

from typing import Any

import pytest

from bequeath.study.findings.describe import by_chance


def share(low: float | None, floor: float | None, within: float | None) -> dict[str, Any]:
    return {"observed": 0.3, "low": low, "floor": floor, "floor_within_classes": within}


@pytest.mark.parametrize(
    ("low", "floor", "within", "said"),
    [
        (0.25, 0.1, 0.2, None),
        (0.25, 0.1, None, None),
        (None, 0.1, 0.2, None),
        (0.25, None, None, None),
        (0.25, 0.28, 0.1, "is not above chance: 30.0%, and interactions of other samples share 28.0%"),
        (0.25, 0.1, 0.27, "but not above that of other samples of the same class (27.0%)"),
    ],
)
def test_shares_that_chance_reaches_are_named(
    low: float | None, floor: float | None, within: float | None, said: str | None
) -> None:
    found = by_chance({"preserved": share(low, floor, within), "discarded": share(0.1, 0.9, 0.9)})
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
