"""The page is whole, self-contained, escaped, the same each time, and says what is absent."""

# ruff: noqa: RUF001 -- the page prints real minus signs, times signs and dashes.

from __future__ import annotations

import copy
import hashlib
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from typing import Any

import matplotlib
import pytest
from report_findings import make_findings

from bequeath.errors import BequeathError
from bequeath.report import render

VOID = {"meta", "br", "hr", "img", "link", "input"}
SECTIONS = ["answers", "orders", "regions", "training", "examples", "sure", "reading", "provenance"]


class Page(HTMLParser):
    """Tags in balance, ids, references and visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()
        if tag in ("td", "th", "dt", "dd", "p", "li", "summary"):
            self.text += " "

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]


@cache
def rendered(kind: str) -> str:
    """The page of a complete document, made once for all tests that only read it."""
    return render(make_findings(kind))


@pytest.fixture(params=["image", "text"])
def html(request: pytest.FixtureRequest) -> str:
    """A complete page, once of images and once of texts."""
    return rendered(request.param)


@pytest.fixture
def usual() -> str:
    """The words of a complete page."""
    return Page(rendered("image")).words


def test_structure(html: str) -> None:
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert [i for i in ids if i in SECTIONS] == SECTIONS
    targets = {value[1:] for value in page.values("href", "xlink:href") if value.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]+)\)", " ".join(page.values("clip-path", "style"))))
    targets |= {i for value in page.values("aria-labelledby") for i in value.split()}
    assert targets
    assert targets <= set(ids)


def test_every_svg_has_a_text_alternative(html: str) -> None:
    svgs = re.findall(r"<svg[^>]*>", html)
    assert len(svgs) > 15
    assert all('role="img"' in svg and ("aria-label" in svg) for svg in svgs)


def test_nothing_is_fetched(html: str) -> None:
    assert not re.findall(r"https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", html))
    page = Page(html)
    assert not page.values("src", "srcset", "data", "action")
    assert all(value.startswith(("#", "data:image/")) for value in page.values("href", "xlink:href"))
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert "@import" not in html


def test_the_answers_and_figures_are_there(usual: str) -> None:
    for text in (
        "✓ supported Is little of the pre-trained knowledge preserved",
        "✗ contradicted",
        "? undecided",
        "The sentence of F2.",
        "Rule: The rule of F3.",
        "fine-tuned 91.0% [86.5, 96.9] n = 153 step 240",
        "relearned, R 30.0% [27.0, 33.9] n = 40",
        "largest deviation over samples: 3.1 × 10⁻¹²",
        "fine-tuned 0.64 [0.59, 0.71], scratch 0.38",
        "difference, paired on samples, +0.26 [0.21, 0.33], n = 40, p < 0.001.",
        "mean similarity first passes 0.50 at step 4.20 [3.86, 4.64] of the fine-tuned run and "
        "52.5 [48.3, 58.0] of the scratch run; scratch takes 12.5 [10.0, 15.8] times as many steps, n = 40.",
        "scratch minus fine-tuned, paired on samples, +16.0 [12.0, 21.2] points, p = 0.031.",
        "as above 60.0% [57.0, 63.9]",
        "plain AND 55.0% [52.3, 58.6]",
        "each model on its own scale 66.3% [63.0, 70.6] 33.7%",
        "because a probe's log-odds and a fine-tuned model's differ in scale",
        "passes 0.50 at step 10 of the fine-tuned run and at step 1,100 of the scratch run",
        "Short run: 240 steps.",
        "123,456 model evaluations",
        "1 min 35 s",
    ):
        assert text in usual, text


def test_a_picture_is_embedded_once_and_members_are_framed(image_findings: dict[str, Any]) -> None:
    image_findings["examples"] = image_findings["examples"][:1]
    html = render(image_findings)
    assert html.count("data:image/png;base64,") == 1
    page = Page(html)
    members = [value for tag, name, value in page.attributes if (tag, name) == ("rect", "class")]
    assert members.count("cell") == 6
    assert members.count("member and") == 2 + 1 + 3
    assert members.count("member or") == 2 + 3
    # A picture of 6 x 4 pixels keeps its shape.
    assert html.count('viewBox="0 0 120 80.0"') == 6


def test_words_are_marked() -> None:
    document = make_findings("text")
    document["examples"] = document["examples"][:1]
    marked = re.findall(r'class="word on"[^>]*>([^<]*)<', render(document))
    assert marked == [
        "gripping",
        "moving",
        "a",
        "film",
        "a",
        "gripping",
        "oddly",
        "and",
        "oddly",
        "moving",
        "and",
    ]


def test_an_example_with_neither_picture_nor_words_names_its_players(image_findings: dict[str, Any]) -> None:
    for example in image_findings["examples"]:
        example.update(picture=None, boxes=None)
    assert "players 0, 1, 3" in Page(render(image_findings)).words


HOSTILE = '"><script>alert(1)</script><b onload=x>'


def test_text_is_escaped(findings: dict[str, Any]) -> None:
    findings["study"].update(name=HOSTILE, data=HOSTILE, value=HOSTILE, classes=[HOSTILE])
    findings["warnings"] = [HOSTILE]
    findings["claims"]["F1"]["text"] = HOSTILE
    findings["provenance"]["versions"] = {HOSTILE: HOSTILE}
    findings["models"]["scratch"]["source"] = HOSTILE
    for sample, example in zip(findings["samples"], findings["examples"], strict=False):
        sample["id"] = example["sample"] = HOSTILE
        example["class"] = HOSTILE
        example["words"] = example["words"] and [HOSTILE] * 6
    html = render(findings)
    assert "<script" not in html
    assert "<b onload" not in html
    assert html.count("&lt;script&gt;") >= 10
    page = Page(html)
    assert "script" not in page.tags
    assert HOSTILE in page.words


def changed(findings: dict[str, Any], change: dict[str, Any]) -> str:
    """The page's words after setting each dotted path to its value."""
    for path, value in change.items():
        *parents, last = path.split(".")
        place = findings
        for key in parents:
            place = place[key]
        place[last] = value
    return Page(render(findings)).words


ABSENT = {
    "dynamics": (None, "No run has the three checkpoints"),
    "regions": (None, "These findings hold no split into regions."),
    "ledger": (None, "These findings hold no ledger."),
    "knowledge": (None, "These findings hold no comparison"),
    "claims": (None, "not assessed Is little of the pre-trained knowledge preserved"),
    "faithfulness": (None, "These findings hold no check of faithfulness."),
    "certificates": (None, "No certificates"),
    "examples": ([], "These findings hold no example samples."),
    "warnings": ([], "This run has no warnings."),
    "provenance": (None, "These findings do not say how they were made."),
}
PARTLY = {
    "dynamics.finetuned": (None, "The fine-tuned run has fewer than 3 checkpoints"),
    "dynamics.area.difference": (None, "no paired difference"),
    "dynamics.first_step.scratch": (None, "at no checkpoint of the scratch run"),
    "dynamics.first_passage.scratch": (None, "and – of the scratch run"),
    "regions": ([], "These findings hold no split into regions."),
    "knowledge.shares.relearned": (None, "relearned, R – of the preserved strength"),
    "claims.F3": (None, "not assessed Does fine-tuning reach its final knowledge"),
    "certificates.missed": (3, "3 missed the asked gap of 0.001"),
    "models.scratch.accuracy": (None, "scratch – step 240"),
    "study.salient": (0.05, "at least 5.0% of a sample's strongest"),
    "study.normalise": ("none", "Effects are in the raw units"),
}


@pytest.mark.parametrize("cases", [ABSENT, PARTLY], ids=["absent", "partly"])
def test_what_is_absent_is_said(
    image_findings: dict[str, Any], cases: dict[str, tuple[Any, str]], usual: str
) -> None:
    words = changed(image_findings, {path: value for path, (value, _) in cases.items()})
    for says in (says for _, says in cases.values()):
        assert says not in usual
        assert says in words


def test_what_is_absent_is_not_spoken_of(image_findings: dict[str, Any], usual: str) -> None:
    silent = {
        "dynamics.first_step": (None, "Mean similarity passes"),
        "dynamics.first_passage": (None, "mean similarity first passes"),
        "dynamics.dropped": (None, "dropped again"),
        "dynamics.area": (None, "Area under similarity"),
        "samples": ([], "All samples and their outputs"),
        "warnings": ([], "Before you rely on this"),
        "ledger_error": (None, "largest deviation"),
        "knowledge.scaled": (None, "on its own scale"),
        "knowledge.identifiability": (None, "Over all splits within 0.1% of the sparsest"),
        "models.scratch.checkpoints": ([], "scratch mobilenet_v2, scratch 1 last, step 240"),
    }
    words = changed(image_findings, {path: value for path, (value, _) in silent.items()})
    for text in (text for _, text in silent.values()):
        assert text in usual
        assert text not in words


NEWER = {
    "knowledge": {"scaled": "own scale"},
    "dynamics": {"first_passage": "times as many steps"},
    "dynamics.area": {"p": "p is two-sided"},
    "dynamics.dropped": {"difference": "scratch minus fine-tuned", "p": "p = 0.031"},
}


def test_findings_of_older_versions_are_shown(image_findings: dict[str, Any], usual: str) -> None:
    for path, keys in NEWER.items():
        place = image_findings
        for key in path.split("."):
            place = place[key]
        for key in keys:
            del place[key]
    for run in ("finetuned", "scratch"):
        for point in image_findings["dynamics"][run]:
            del point["strength"], point["mean_order"]
    html = render(image_findings)
    words = Page(html).words
    for text in (text for keys in NEWER.values() for text in keys.values()):
        assert text in usual
        assert text not in words
    assert 'id="orders-finetuned-title"' in html
    assert 'id="mean-order-title"' not in html


def test_the_course_of_orders_has_its_numbers(image_findings: dict[str, Any]) -> None:
    point = image_findings["dynamics"]["scratch"][3]
    point["mean_order"]["mean"], point["strength"]["mean"] = 4.321, 0.7621
    image_findings["dynamics"]["finetuned"] = None
    html = render(image_findings)
    assert re.search(r"scratch 10 4\.32 \[[^]]*\] 0\.76 \[", Page(html).words)
    assert [
        f'id="{name}-title"' in html for name in ("orders-finetuned", "orders-scratch", "mean-order")
    ] == [
        False,
        True,
        True,
    ]


def test_orders_that_are_drawn_together_are_spoken_of(image_findings: dict[str, Any], usual: str) -> None:
    for point in image_findings["dynamics"]["finetuned"] + image_findings["dynamics"]["scratch"]:
        for strengths in (point["by_order"], point["strength_by_order"]):
            strengths.append(strengths[-1])
    assert "Neighbouring orders are drawn together" not in usual
    assert "Neighbouring orders are drawn together" in changed(image_findings, {"study.n_players": 7})


def test_seeds_are_told_where_there_are_several(image_findings: dict[str, Any], usual: str) -> None:
    assert "seeds" not in usual.replace("over seeds where", "").replace("training seeds", "")
    image_findings["knowledge"]["shares"]["preserved"]["seeds"] = 3
    image_findings["dynamics"]["area"]["difference"]["seeds"] = 4
    words = Page(render(image_findings)).words
    assert "preserved 60.0% [57.0, 63.9] n = 40, 3 seeds" in words
    assert "n = 40, 4 seeds, p < 0.001" in words


def test_runs_with_two_checkpoints_have_no_course(image_findings: dict[str, Any]) -> None:
    words = changed(image_findings, {"dynamics.finetuned": None, "dynamics.scratch": None, "knowledge": None})
    assert "No run has the three checkpoints" in words


def test_null_numbers_become_dashes(findings: dict[str, Any]) -> None:
    def hollow(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"mean", "low", "high", "n"}:
                return {"mean": None, "low": None, "high": None, "n": 1}
            return {key: hollow(inner) for key, inner in value.items()}
        return [hollow(inner) for inner in value] if isinstance(value, list) else value

    page = Page(render(hollow(findings)))
    assert "None" not in page.words.replace("None in this sample.", "")
    assert not re.search(r"\bnan\b", page.words)
    assert "preserved – n = 1" in page.words


def test_a_plain_and_decomposition_has_no_or_panels(image_findings: dict[str, Any]) -> None:
    rows = image_findings["knowledge"]["by_order"]
    image_findings["knowledge"]["by_order"] = [row for row in rows if row["type"] != "or"]
    html = render(image_findings)
    assert 'id="strength-pretrained-and-title"' in html
    assert 'id="strength-pretrained-or-title"' not in html
    assert "There are no OR interactions" in html


def test_same_findings_same_page(image_findings: dict[str, Any]) -> None:
    before = copy.deepcopy(image_findings)
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert render(image_findings) == rendered("image")
        assert matplotlib.rcParams["font.size"] == 20
    assert image_findings == before
    image_findings["knowledge"]["by_order"][1]["strength"]["preserved"]["mean"] *= 1.1
    assert render(image_findings) != rendered("image")


def test_a_fresh_process_makes_the_same_page_without_pyplot() -> None:
    code = (
        "import sys, hashlib; from bequeath.report import render; from report_findings import make_findings;"
        "page = render(make_findings());"
        "print(hashlib.sha256(page.encode()).hexdigest(), 'matplotlib.pyplot' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    expected = hashlib.sha256(rendered("image").encode()).hexdigest()
    assert done.stdout.split() == [expected, "False"]


def test_the_page_is_light(html: str) -> None:
    # Six photographs of 224 pixels take 0.9 MB; the page is to stay below 1.5 MB with them.
    assert len(html.encode()) < 500_000


def test_other_versions_and_outside_pictures_are_refused(image_findings: dict[str, Any]) -> None:
    with pytest.raises(BequeathError, match=r"bequeath\.findings/1"):
        render({"schema": "bequeath.findings/2"})
    image_findings["examples"][1]["picture"] = "pictures/1.png"
    with pytest.raises(BequeathError, match=r"examples\[1\].picture.*'pictures/1.png'"):
        render(image_findings)


def test_the_reference_reading_stands_beside_the_shares(findings: dict[str, Any]) -> None:
    assert "48.4%" in render(findings)
    findings["knowledge"]["reference"]["shares"]["new"]["mean"] = 0.1234
    assert "12.3%" in render(findings)
