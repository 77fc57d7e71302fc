"""What a terminal shows of findings."""

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
    for text in (
        "preserved and-or 60.0% [57.0%, 63.9%] 18.5%, within classes 19% "
        "AND alone 55.0% [52.3%, 58.6%] 18.5%, within classes 19% raw units 66.3%",
        "new and-or 50.0%",
        "relearned and-or 30.0%",
        "Preserved: of imagenet, in birds too; discarded: not in it; new: of birds alone; "
        "relearned (R): of what is preserved, in cold too.",
        "Accuracy of birds: 91.0% [86.5%, 96.9%]",
        "birds at step 4.2 [3.86, 4.64], cold at step 52.5 [48.3, 58]. "
        "cold takes 12.5 [10, 15.8] times as many steps as birds.",
        "F2 contradicted. The sentence of F2.",
    ):
        assert text in words, text
    # By default each model is on its own scale: that is the first line.
    assert "own scale" not in words
    image_findings["study"]["normalise"] = "none"
    words = shown(image_findings, capsys)
    assert "own scale" in words
    assert "raw units" not in words


def test_two_models_have_no_control(capsys: pytest.CaptureFixture[str]) -> None:
    words = shown(make_findings(cast="two"), capsys)
    assert (
        "Preserved: of step 1000, in step 9000 too; discarded: not in it; new: of step 9000 alone." in words
    )
    assert "F1 supported" in words
    for absent in ("relearned", "F2", "own final knowledge", "None"):
        assert absent not in words


def test_any_model_and_any_name_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    findings = make_findings(cast="five")
    findings["models"]["[bold]x"] = findings["models"]["dinov2"]
    findings["dynamics"]["lead"] = None
    words = shown(findings, capsys)
    assert "Accuracy of dinov2: 88.0%" in words
    assert "Accuracy of [bold]x: 88.0%" in words
    assert "resnet50-birds-augreg-v2-seed-2 at step 6.1" in words
    assert "times as many" not in words


def test_what_cannot_be_measured_says_why(
    image_findings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    share = image_findings["knowledge"]["shares"]["relearned"]
    share |= dict.fromkeys(("observed", "low", "high", "floor")) | {"reason": "nothing is preserved"}
    image_findings["knowledge"]["shares"]["new"] |= {"floor": None, "floor_within_classes": None}
    words = shown(image_findings, capsys)
    assert "relearned and-or nothing is preserved" in words
    assert "new and-or 50.0% [47.5%, 53.2%] - " in words


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
    assert "│ relearned │ and-or    │ 30.0%  [28.5%, 31.9%] │ 11.2%, within classes 12% │" in out
    assert "…" not in out
