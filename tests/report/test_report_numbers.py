"""Numbers as the page prints them."""

# ruff: noqa: RUF001 -- the page prints real minus signs, times signs and dashes.

from __future__ import annotations

import pytest
from report_findings import share as make_share

from bequeath.report import text


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (0, "0.00"),
        (4.5, "4.50"),
        (-0.0421, "−0.042"),
        (21.44, "21.4"),
        (12345.6, "12,346"),
        (-0.0001, "0.000"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_number(x: float | None, shown: str) -> None:
    assert text.number(x) == shown


@pytest.mark.parametrize(("x", "shown"), [(1.5, "+1.50"), (-1.5, "−1.50"), (0, "0.00"), (0.0001, "0.000")])
def test_signed(x: float, shown: str) -> None:
    assert text.signed(x) == shown


@pytest.mark.parametrize(
    ("x", "shown"), [(0.16, "+16.0"), (-0.0421, "−4.2"), (0.0001, "0.0"), (0, "0.0"), (None, "–")]
)
def test_points(x: float | None, shown: str) -> None:
    assert text.points(x) == shown


@pytest.mark.parametrize(("p", "shown"), [(0.0312, "p = 0.031"), (1, "p = 1.000"), (9.9e-4, "p < 0.001")])
def test_chance(p: float, shown: str) -> None:
    assert text.chance(p) == shown


@pytest.mark.parametrize(
    ("x", "shown"),
    [(3.14e-12, "3.1 × 10⁻¹²"), (1e-3, "0.001"), (0, "0"), (-2e-6, "−2.0 × 10⁻⁶"), (2.5e7, "2.5 × 10⁷")],
)
def test_small(x: float, shown: str) -> None:
    assert text.small(x) == shown


def test_interval_takes_the_decimals_of_its_mean() -> None:
    estimate = {"mean": 0.4212, "low": 0.38, "high": 0.4567, "n": 9}
    assert text.percent(estimate["mean"]) == "42.1%"
    assert text.interval(estimate, "percent") == "[38.0, 45.7]"
    assert text.interval({**estimate, "mean": 12.3, "low": 9.87, "high": 101.0}) == "[9.9, 101.0]"
    assert text.interval({**estimate, "mean": -0.02, "low": -0.041, "high": 0.3}, "points") == "[−4.1, 30.0]"
    assert text.interval({**estimate, "low": None}) == ""
    assert text.interval(None) == ""


def test_shares_have_levels_or_a_reason() -> None:
    share = make_share(0.25, 0.1, 0.7)
    assert text.corrected(share) == "25% [15%, 35%]"
    assert text.likelihood(share) == "p < 0.001"
    assert text.levels(share) == "observed 25.0%, by chance 10.0%, same model again 70.0%"
    once = make_share(0.25, 0.1, None, "read once")
    assert text.corrected(once) == "not measurable"
    assert text.why_not(once) == "read once"
    assert text.bracket(once) == text.likelihood(once) == ""
    assert text.levels(once) == "observed 25.0%, by chance 10.0%"
    # A reason outweighs any figure.
    assert text.corrected(share | {"reason": "only 5 samples; a verdict needs 8"}) == "not measurable"
    assert text.whole(-0.024) == "−2%"


def test_a_difference_can_be_told_the_other_way_round() -> None:
    assert text.opposite({"mean": -2.0, "low": -3.0, "high": 1.0, "n": 4}) == {
        "mean": 2.0,
        "low": -1.0,
        "high": 3.0,
        "n": 4,
    }
    assert text.opposite({"mean": 1.0, "low": None, "high": None, "n": 1})["low"] is None  # type: ignore[index]
    assert text.opposite(None) is None


def test_long_names_keep_both_ends() -> None:
    assert text.short("resnet50-imagenet-augreg-v2", 14) == "resnet5…reg-v2"
    assert text.short("birds", 5) == "birds"


def test_duration() -> None:
    assert [text.duration(s) for s in (0.25, 59.4, 125, None)] == ["0.2 s", "59.4 s", "2 min 5 s", "–"]
