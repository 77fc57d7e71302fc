"""Numbers as the page prints them."""

# ruff: noqa: RUF001 -- the page prints real minus signs, times signs and dashes.

from __future__ import annotations

import pytest

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


def test_shares_have_intervals_and_chance_levels() -> None:
    share = {"observed": 0.2, "low": 0.181, "high": 0.22, "floor": 0.185, "floor_within_classes": 0.19}
    assert text.interval(share, "percent") == "[18.1, 22.0]"
    assert text.by_chance(share) == "by chance 18.5%, within classes 19%"
    assert text.by_chance({**share, "floor_within_classes": None}) == "by chance 18.5%"
    assert text.by_chance({"floor": None, "floor_within_classes": None}) == "by chance –"
    assert text.interval({**share, "observed": None}, "percent") == ""


def test_long_names_keep_both_ends() -> None:
    assert text.short("resnet50-imagenet-augreg-v2", 14) == "resnet5…reg-v2"
    assert text.short("birds", 5) == "birds"


def test_duration() -> None:
    assert [text.duration(s) for s in (0.25, 59.4, 125, None)] == ["0.2 s", "59.4 s", "2 min 5 s", "–"]
