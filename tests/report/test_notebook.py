"""What a notebook shows of results: reprs of one line, HTML, and progress bars."""

from __future__ import annotations

import sys
import types
from html.parser import HTMLParser

import pytest
import torch
from report_findings import make_findings

import bequeath as bq
from bequeath import bars
from bequeath.report import notebook


class Balanced(HTMLParser):
    """Checks that every tag is closed; collects the text of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def cells(html: str) -> list[str]:
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    return parser.cells


@pytest.fixture(scope="module")
def games() -> list[bq.Game]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    rows = torch.randn(10, 6)
    players = bq.players.columns([f"<b>{i}" for i in range(6)])
    baseline = bq.baselines.dataset_mean(rows)
    return [bq.Game(model, row, players, baseline, bq.values.log_odds(1)) for row in rows]


@pytest.fixture(scope="module")
def readings(games) -> bq.Interactions:
    return bq.explain(games, masks=48, order=2)


def test_reprs_are_one_short_line(games, readings):
    comparison = bq.compare(before=readings, after=readings)
    for one in (
        games[0],
        games[0].masked,
        readings,
        readings[0],
        readings.listed,
        readings.certificate,
        bq.decompose(games[0].table()),
        bq.decompose(games[0].table()).certificate,
        comparison,
        comparison.strengths,
        comparison.share("preserved"),
        bq.baselines.dataset_mean(torch.rand(100, 6)),
        bq.baselines.given(torch.rand(6)),
        bq.players.columns([f"column {i}" for i in range(40)]),
    ):
        assert "\n" not in repr(one), type(one)
        assert len(repr(one)) < 260, repr(one)
    assert repr(readings).startswith("Interactions(10 samples, 6 players, ")
    assert repr(comparison) == "Comparison(before, after: 10 samples, 6 players, normalise='l1')"


def test_a_share_says_its_figure_or_its_reason():
    share = bq.Share(0.3, 0.1, 0.5, 0.5, 0.4, 0.61, 0.0004, 30, None)
    assert repr(share) == "Share(50% [40%, 61%] of the way from chance to the same model, p < 0.001, n = 30)"
    assert repr(bq.Share(0.3, 0.1, None, None, 0.4, 0.6, 0.02, 3, "only 3 samples")) == (
        "Share(not measurable: only 3 samples)"
    )


def test_html_of_interactions_names_terms_and_escapes_names(readings):
    html = readings[0]._repr_html_()
    assert "<b>" not in html
    term = readings[0].top(1)[0]
    assert term.name in cells(html)
    by_order = cells(readings._repr_html_())
    assert by_order[:3] == ["order", "mean strength per sample", "share of it"]
    assert by_order[3::3] == ["1", "2"]


def test_html_of_a_comparison_has_every_share_with_its_levels(readings):
    comparison = bq.compare(before=readings, after=readings[torch.arange(9, -1, -1)])
    shown = cells(comparison._repr_html_())
    assert [name for name in ("preserved", "discarded", "new", "relearned") if name in shown] == [
        "preserved",
        "discarded",
        "new",
    ]
    share = comparison.share("preserved")
    assert f"{100 * share.observed:.1f}%" in shown
    assert "not measurable" in cells(bq.compare(before=readings[:3], after=readings[:3])._repr_html_())


def test_html_of_a_run_says_what_its_page_says_first():
    findings = make_findings("image")
    html = notebook.run_html("Run('<runs>')", findings, "runs/a/report.html")
    assert "&lt;runs&gt;" in html
    assert "runs/a/report.html" in html
    for line in findings["summary"]["findings"]:
        assert line in html
    assert "no findings yet" in notebook.run_html("Run('a')", None, "")


def test_a_run_that_was_not_begun(tmp_path):
    run = bq.Run(tmp_path)
    assert repr(run) == f"Run({str(tmp_path)!r}: not begun)"
    assert "no findings yet" in run._repr_html_()


def test_dir_lists_public_names_alone():
    assert {"Game", "compare", "plots", "players", "__version__"} <= set(dir(bq))
    assert [name for name in dir(bq) if name.startswith("_") and name != "__version__"] == []
    assert all(hasattr(bq, name) for name in dir(bq))
    for module in (bq.players, bq.baselines, bq.values, bq.plots):
        assert dir(module) == sorted(module.__all__)
        assert all(hasattr(module, name) for name in dir(module))
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        bq.explian  # noqa: B018


class Handle:
    """Stands for IPython's display handle."""

    def __init__(self, first: str) -> None:
        self.shown = [first]

    def update(self, html: str) -> None:
        self.shown.append(html)


@pytest.fixture
def kernel(monkeypatch):
    """A Jupyter kernel, as far as bars ask for one; gives what was displayed."""
    handles: list[Handle] = []

    def display(html: str, display_id: bool) -> Handle:
        assert display_id
        handles.append(Handle(html))
        return handles[-1]

    ipython, shown = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    shell = types.SimpleNamespace(has_trait=lambda name: name == "kernel")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    shown.HTML = str  # type: ignore[attr-defined]
    shown.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return handles


def test_bars_in_a_notebook_are_html_that_ends_full(kernel, games, monkeypatch):
    monkeypatch.setattr(bars, "_NOTEBOOK_INTERVAL", 0.0)
    bq.explain(games, masks=16, progress=True)
    (handle,) = kernel
    assert len(handle.shown) >= len(games)
    assert "16 masks of each game" in handle.shown[-1]
    assert "value='100.0'" in handle.shown[-1]
    assert "10/10" in handle.shown[-1]
    assert "value='50.0'" in " ".join(handle.shown)


def test_bars_in_a_terminal_go_to_stderr(games, capsys):
    bq.evaluate(games, progress=True)
    said = capsys.readouterr()
    assert "value tables" in said.err
    assert "10/10" in said.err
    assert said.out == ""


def test_no_bars_unless_asked(games, capsys):
    done: list[int] = []
    bq.evaluate(games)
    bq.explain(games, masks=16, progress=done.append)
    assert sum(done) == len(games)
    assert capsys.readouterr().err == ""
