"""What a terminal shows of findings."""

# ruff: noqa: RUF001 -- the terminal prints real dashes.

from __future__ import annotations

from typing import Any

import pytest
from report_findings import make_findings

from bequeath.report.terminal import show_findings


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not broken."""
    monkeypatch.setenv("COLUMNS", "250")


def shown(findings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """The words, without the table's lines."""
    show_findings(findings)
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_shares_passage_and_claims(
    image_findings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = shown(image_findings, capsys)
    places = []
    for text in (
        "birds was compared with imagenet.",
        "preserved 50% [40%, 60%] < 0.001 40.0% 10.0% 70.0%",
        "discarded 50% [40%, 60%] < 0.001 60.0% 90.0% 30.0%",
        "relearned 25% [15%, 35%] < 0.001 25.0% 10.0% 70.0%",
        "Preserved: in imagenet and in birds. Discarded: in imagenet alone. New: in birds alone. "
        "Relearned (R): the part of the preserved that is in cold, too.",
        "Half of it is left.",
        "Not measurable. What training removes: there are no halves.",
        "birds at step 4.2 [3.86, 4.64], cold at step 52.5 [48.3, 58]. "
        "cold takes 12.5 [10, 15.8] times as many steps as birds.",
        "F1 supported. The sentence of F1. Whether little is preserved, by another reading "
        "(exact, as the papers read): contradicted: 57%",
        "F2 contradicted. The sentence of F2.",
        "F4 not measurable. The sentence of F4.",
        "Not by accident.",
    ):
        assert text in words, text
        places.append(words.index(text))
    assert places == sorted(places)


def test_two_models_have_no_control(capsys: pytest.CaptureFixture[str]) -> None:
    words = shown(make_findings(cast="two"), capsys)
    assert (
        "Preserved: in step 1000 and in step 9000. Discarded: in step 1000 alone. New: in step 9000 alone."
        in words
    )
    assert "F1 supported" in words
    for absent in ("relearned", "F2", "own final knowledge", "None"):
        assert absent not in words


def test_any_model_and_any_name_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    findings = make_findings(cast="five")
    findings["summary"]["compared"] = "[bold]x was compared with dinov2."
    findings["dynamics"]["lead"] = None
    words = shown(findings, capsys)
    assert "[bold]x was compared with" in words
    assert "resnet50-birds-augreg-v2-seed-2 at step 6.1" in words
    assert "times as many" not in words


def test_what_cannot_be_measured_says_why(
    image_findings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    shares = image_findings["knowledge"]["shares"]
    shares["preserved"] |= {"reason": "too near [to tell]"}
    shares["discarded"] |= {"reason": "too near [to tell]"}
    shares["relearned"] |= dict.fromkeys(("observed", "floor", "ceiling", "corrected", "low", "high", "p"))
    image_findings["summary"]["not_measurable"] = [
        "How much is left: too near [to tell].",
        "The course: too short.",
    ]
    words = shown(image_findings, capsys)
    assert "preserved not measurable 40.0% 10.0% 70.0%" in words
    assert "relearned not measurable – – –" in words
    assert "preserved, discarded: not measurable: too near [to tell]." in words
    # A reason is given once.
    assert words.count("too near") == 1
    assert "Not measurable. The course: too short." in words


def test_an_incomplete_run_says_so(
    image_findings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    image_findings["missing"] = {"interactions": 2, "of": 40}
    assert "Incomplete. Short run: 240 steps." in shown(image_findings, capsys)


def test_the_table_fits_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_findings(make_findings(cast="five"))
    out = capsys.readouterr().out
    assert "│ relearned │ 25% [15%, 35%]  │ < 0.001 │ 25.0%    │ 10.0%     │ 70.0%      │" in out
    assert "…" not in out
