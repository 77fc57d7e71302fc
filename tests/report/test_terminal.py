"""What a terminal shows of findings."""

from __future__ import annotations

from typing import Any

import pytest

from bequeath.report.terminal import show_findings


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not broken."""
    monkeypatch.setenv("COLUMNS", "250")


def test_shares_passage_and_claims(
    image_findings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    show_findings(image_findings)
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for text in (
        "preserved by fine-tuning 60.0% [57.0%, 63.9%] 55.0% [52.3%, 58.6%]",
        "preserved, each model on its own scale 66.3% [63.0%, 70.6%]",
        "accuracy, finetuned 91.0%",
        "the fine-tuned run at step 4.2 [3.86, 4.64], the scratch run at step 52.5 [48.3, 58]; "
        "12.5 [10, 15.8] times as many.",
        "F2 contradicted. The sentence of F2.",
    ):
        assert text in shown, text


def test_what_older_findings_lack_is_left_out(
    image_findings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    del image_findings["knowledge"]["scaled"], image_findings["dynamics"]["first_passage"]
    show_findings(image_findings)
    image_findings["dynamics"] = None
    show_findings(image_findings)
    shown = capsys.readouterr().out
    assert shown.count("preserved by fine-tuning") == 2
    assert "own scale" not in shown
    assert "times as many" not in shown
