"""`bequeath view`: which page it opens, and what it says where it cannot."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
from report_findings import make_findings
from typer.testing import CliRunner

from bequeath.cli import app
from bequeath.errors import BequeathError


@pytest.fixture
def addresses(monkeypatch) -> list[str]:
    """Stands for the browser; says what it was asked to open."""
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not asked.append(address))
    return asked


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "findings.json").write_text(json.dumps(make_findings()))
    return tmp_path


def view(*args: object) -> str:
    result = CliRunner().invoke(app, ["view", *map(str, args)])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_page_that_is_not_there_is_written_and_opened(run, addresses):
    assert view(run).strip() == (run / "report.html").resolve().as_uri()
    assert addresses == [(run / "report.html").resolve().as_uri()]
    assert "Explore the samples" in (run / "report.html").read_text()


def test_a_sample_stands_in_the_address(run, addresses):
    view(run, "--sample", "bees/7.jpg")
    assert addresses[0].endswith("report.html#samples&sample=bees%2F7.jpg")
    with pytest.raises(BequeathError, match=r"--sample val/99: not in this run; there are val/000, "):
        view(run, "--sample", "val/99")


@pytest.mark.parametrize("name", ["rank.html", "layers.html"])
def test_pages_of_other_commands_are_opened(tmp_path, addresses, name):
    (tmp_path / name).write_text("<p>")
    view(tmp_path)
    assert addresses[0].endswith(name)


def test_without_a_browser_the_address_is_said(run, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert view(run).startswith("No browser could be opened here; open this page: file://")


def test_a_folder_without_findings_is_refused(tmp_path, addresses):
    with pytest.raises(BequeathError, match=r"no findings\.json; finish the run"):
        view(tmp_path)
    assert addresses == []
