"""The page, the picture and the terminal's tables of a ranking, from a document whose names are hostile."""

import copy

import pytest
from rich.console import Console

from bequeath.report.ranking import accuracies, behind, most_alike, page, terminal

FIRST, SECOND = "<b>[red]one$x$", "two\x1b[31m"


def measure(value, **more):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "reference": 0.2, "seconds": 1.0} | {
        "n": 50,
        "reason": None,
        **more,
    }


def entry(probe, behind_first):
    values = {"probe": probe, "knn": probe - 0.05, "logme": -0.5, "h_score": 1.2}
    measures = {name: measure(value) for name, value in values.items()}
    missing = dict.fromkeys(("value", "low", "high", "reference"))
    measures["leep"] = {**missing, "n": 50, "seconds": 0.0, "reason": "its weights have no head"}
    return {
        "given": "timm:<one>",
        "parameters": 2_500_000,
        "features": 64,
        "source_classes": None,
        "preprocessing": None,
        "features_seconds": 2.0,
        "notes": ["a <note>"],
        "behind_first": behind_first,
        "measures": measures,
    }


@pytest.fixture
def document():
    titles = {"probe": "linear probe", "knn": "neighbours", "logme": "LogME", "leep": "LEEP", "h_score": "H"}
    difference = {"mean": 0.1, "low": -0.02, "high": 0.22, "n": 50}
    pair = {"first": FIRST, "second": SECOND, **measure(0.4)}
    return {
        "created": "2026-01-01T00:00:00+00:00",
        "version": "0",
        "data": {
            "source": "50 <pictures>",
            "samples": 50,
            "classes": {"a": 25, "b": 25},
            "majority": 0.5,
            "folds": 5,
            "seed": 0,
        },
        "measures": {key: {"title": title, "interval": "95%"} for key, title in titles.items()},
        "order": [FIRST, SECOND],
        "candidates": {FIRST: entry(0.8, None), SECOND: entry(0.7, difference)},
        "similarity": [pair],
        "recommendation": {"text": ["First <sentence>.", "Last sentence."]},
    }


def test_the_page_escapes_names_and_says_why_a_figure_is_missing(document):
    got = page(document)
    assert "<b>[red]" not in got
    assert "&lt;b&gt;[red]one$x$" in got
    assert "\x1b" not in got
    assert "two\\x1b[31m" in got
    assert "its weights have no head" in got
    assert "First &lt;sentence&gt;." in got
    assert "80.0% [70.0%, 90.0%]" in got
    assert "+10.0 [−2.0, +22.0]" in got  # noqa: RUF001
    assert page(copy.deepcopy(document)) == got


def test_the_terminal_shows_names_as_they_are_and_every_figure(document):
    console = Console(record=True, width=200, file=None, force_terminal=False)
    with console.capture() as capture:
        for part in terminal(document):
            console.print(part, highlight=False)
    got = capture.get()
    assert "<b>[red]one$x$" in got
    assert "\x1b" not in got
    for figure in ("80.0% [70.0%, 90.0%]", "−0.50 [−0.60, −0.40] (0.20)", "2.50", "50.0%", "a <note>"):  # noqa: RUF001
        assert figure in got, figure


def test_every_candidate_is_drawn_at_its_figures(document):
    axes = accuracies(document).axes[0]
    probe, neighbours, chance = axes.get_lines()
    assert list(probe.get_xdata()) == [0.8, 0.7]
    assert list(neighbours.get_xdata()) == pytest.approx([0.75, 0.65])
    assert list(chance.get_xdata()) == [0.5, 0.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == [FIRST, "two\\x1b[31m"]


def test_most_alike_and_behind(document):
    assert most_alike(document, SECOND) == f"{FIRST} 0.40 [0.30, 0.50]"
    assert behind(document["candidates"][FIRST]) == ""
    document["similarity"][0]["value"] = None
    assert most_alike(document, SECOND) == "–"  # noqa: RUF001
