"""The page is whole, self-contained, escaped, the same each time, and says what is absent."""

# ruff: noqa: RUF001 -- the page prints real minus signs, times signs and dashes.

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from report_findings import estimate, make_findings, share

from bequeath.errors import BequeathError
from bequeath.report import render, style
from bequeath.report.templates import environment

VOID = {"meta", "br", "hr", "img", "link", "input"}
SECTIONS = [
    "summary",
    "done",
    "shares",
    "answers",
    "forgotten",
    "orders",
    "regions",
    "training",
    "samples",
    "sure",
    "reading",
    "provenance",
]


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
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]


@cache
def rendered(modality: str, cast: str = "three") -> str:
    """The page of a complete document, made once for all tests that only read it."""
    return render(make_findings(modality, cast))


@pytest.fixture(params=["image three", "text two", "image five"])
def html(request: pytest.FixtureRequest) -> str:
    """A complete page, of two, three and five models."""
    return rendered(*request.param.split())


@pytest.fixture
def usual() -> str:
    """The words of a complete page."""
    return Page(rendered("image")).words


def test_structure(html: str) -> None:
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert [i for i in ids if i in SECTIONS] == SECTIONS
    # What stands after & is the state of the samples, which the page's script reads.
    references = [value for value in page.values("href", "xlink:href") if value.startswith("#")]
    targets = {value[1:].partition("&")[0] for value in references}
    targets |= set(re.findall(r"url\(#([^)]+)\)", " ".join(page.values("clip-path", "style"))))
    targets |= {i for value in page.values("aria-labelledby") for i in value.split()}
    assert targets
    assert targets <= set(ids)


def test_every_svg_has_a_text_alternative(html: str) -> None:
    svgs = re.findall(r"<svg[^>]*>", html)
    assert len(svgs) > 10
    assert all('role="img"' in svg and ("aria-label" in svg) for svg in svgs)


def test_nothing_is_fetched(html: str) -> None:
    assert not re.findall(r"https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", html))
    page = Page(html)
    assert not page.values("src", "srcset", "data", "action")
    assert all(value.startswith(("#", "data:image/")) for value in page.values("href", "xlink:href"))
    assert not {"link", "iframe", "object", "embed"} & set(page.tags)
    assert page.tags.count("script") == 2  # the samples' data and the code, which stand in the page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert "@import" not in html


def test_the_answers_and_figures_are_there(usual: str) -> None:
    for text in (
        "In short birds was compared with imagenet. What came out Half of it is left. How sure is it? Not by accident. "
        "What could not be measured What training removes: there are no halves.",
        "imagenet (before), birds (after) and cold (control) were read on the same 40 pictures",
        "The models are given pictures of 96 × 96 pixels (the ends of the longer side are cut off; bilinear). "
        "Of each colour, between 0 and 1, the mean 0.485, 0.456, 0.406 is subtracted",
        "Does birds preserve little of imagenet, and less the higher the order? ✓ supported",
        "Does cold have little of what birds preserved? ✗ contradicted",
        "Does birds reach its final knowledge earlier and more steadily than cold? ? undecided",
        "Does its training first remove noise, then add it? – not measurable",
        "The sentence of F2.",
        "Whether little is preserved, by other readings: exact, as the papers read: contradicted: 57% observed",
        "Rule: The rule of F3.",
        "What birds has of imagenet",
        "preserved 50% [40%, 60%] of what can be read of imagenet p < 0.001, n = 40 "
        "observed 40.0%, by chance 10.0%, same model again 70.0%",
        "discarded 50% [40%, 60%] of what can be read of imagenet p < 0.001, n = 40 "
        "observed 60.0%, by chance 90.0%, same model again 30.0%",
        "relearned, R 25% [15%, 35%] of what is preserved; cold has it too",
        "birds 91.0% [86.5, 96.9] n = 153 after, step 240",
        "the observed preserved share is between 21.0% [19.9, 22.4] and 64.0% [60.8, 68.2] (proven)",
        "preserved as above 50% [40%, 60%] p < 0.001 40.0% 10.0% 70.0% 40",
        "raw units 40% [30%, 50%] p < 0.001 34.0% 10.0% 70.0% 40",
        "exact, as the papers read not measurable 1 57.0% 10.0% – 40",
        "Not measurable: no second reading of the models;",
        "Each model is on its own scale",
        "Over all orders: 50% [40%, 60%]. Left out, because not measurable: order 6.",
        "less that of the upper half: +12.0 [6.0, 19.8] points",
        "No share for cold: the whole output is too near 0",
        "removed early 1.50 4.0%",
        "largest deviation over samples: 3.1 × 10⁻¹²",
        "imagenet & birds only",
        "birds 0.64 [0.59, 0.71] step 10 4.20 [3.86, 4.64] 21.0%",
        "cold 0.38 [0.35, 0.42] step 1,100",
        "birds is ahead of cold by 0.26 [0.21, 0.33] in area (n = 40, p < 0.001). "
        "cold takes 12.5 [10.0, 15.8] times as many steps to pass 0.50. "
        "Of what it learned, cold later dropped 16.0 [12.0, 21.2] points more than birds (p = 0.031).",
        "Short run: 240 steps.",
        "123,456 model evaluations",
        "1 min 35 s",
        "Identifiability bounds",
    ):
        assert text in usual, text
    assert "<title>Ants and bees</title>" in rendered("image")


def test_a_page_of_two_models_speaks_of_no_control() -> None:
    html = rendered("text", "two")
    words = Page(html).words
    for text in (
        "step 1000 (before) and step 9000 (after) were read on the same 40 texts",
        "The models are given the words' tokens (BertTokenizer, 512 tokens at most).",
        "Question and answer",
        "Does step 9000 preserve little of step 1000, and less the higher the order? ✓ supported",
        "What step 9000 has of step 1000",
        "Preserved is what step 1000 and step 9000 share.",
        "No model has the three checkpoints",
    ):
        assert text in words, text
    for absent in (
        "relearned",
        "R ",
        "control",
        "all three",
        "Every pair",
        "F2",
        "dentifiability",
        "ahead of",
    ):
        assert absent not in words.replace("OR ", "").replace("AND", ""), absent
    assert "relearned" not in re.sub(r"--relearned|var\(--relearned[^)]*\)", "", html)
    assert {
        f'id="{name}-title"' in html for name in ("scale-relearned", "levels-relearned", "similarity")
    } == {False}


def test_a_page_of_five_models_shows_each_and_every_pair() -> None:
    words = Page(rendered("image", "five")).words
    for text in (
        "resnet50-birds-augreg-v2-seed-2 (after twin) and dinov2 were read",
        "dinov2 88.0% [83.6, 93.7] n = 153 no role, step 240",
        "Every pair of models",
        "resnet50-imagenet-augreg-v2 – 33% [23%, 43%] observed 33.0%, by chance 15.0%, same model again 70.0%",
        "by another seed 67% [57%, 77%]",
        "By another seed: a model's twin, the same recipe with another seed,",
        "resnet50-birds-augreg-v2-seed-2 0.58 [0.53, 0.64]",
        "v(N), dinov2",
    ):
        assert text in words, text


def test_no_models_name_is_built_in() -> None:
    for file in Path(style.__file__).parent.iterdir():
        if file.is_file():
            assert not re.search("pretrained|finetuned|scratch", file.read_text()), file


def in_script(html: str) -> dict[str, Any]:
    """What the page's script explores."""
    (text,) = re.findall(r'<script type="application/json" id="explored">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def test_samples_are_embedded_once_for_the_script(image_findings: dict[str, Any]) -> None:
    html = render(image_findings)
    assert html.count("data:image/png;base64,") == 2
    explored = in_script(html)
    assert [model["role"] for model in explored["models"]] == ["before", "after", "control"]
    first, flipped = explored["samples"][:2]
    assert first["terms"][0] == ["and", [1, 4], "preserved", [1.2, 0.96, -0.24]]
    assert (first["verdict"], first["change"]) == ("both", None)
    change = flipped["change"]
    assert (change["total"], change["lost"], change["turned"]) == (-3.0, -1.5, -0.7)
    # The output with the named players hidden, and with others: the change and how far hiding moves it.
    assert change["hidden"] == {"players": [1, 3, 4], "measured": -1.35, "said": -0.9, "random": -2.4}
    assert len(explored["samples"]) == 40


def test_flipped_samples_lead_to_where_they_are_explored(html: str) -> None:
    assert '<a href="#samples&amp;sample=bees%2F7.jpg">bees/7.jpg</a>' in html
    assert "ants/3.jpg</a>" not in html  # it was not read


def test_when_to_stop_is_told_run_by_run(usual: str) -> None:
    for text in (
        "the most accurate checkpoint is that of step 100. From there to the last checkpoint accuracy falls by 2.0",
        "What is added after step 32 is clearly less reliable than what had been added before.",
        "At no checkpoint is what was added clearly less reliable than what had been added before.",
    ):
        assert text in usual, text


def test_what_hiding_did_is_said(image_findings: dict[str, Any]) -> None:
    words = Page(render(image_findings)).words
    assert (
        "Hiding them takes away 55.0% [44.0, 69.3] of the difference between the two models’ outputs; "
        "the readings predict 70.0% [63.0, 79.1]. Hiding as many players" in words
    )
    assert (
        "In 8 of the samples both halves of the masks predict the same direction. It is right in 87.5%"
        in words
    )
    check = image_findings["forgotten"]["check"]
    check |= {
        "reason": "exact readings cannot be wrong",
        "measurable": 0,
        "right": estimate(0.5) | {"mean": None},
    }
    words = Page(render(image_findings)).words
    assert "is not measurable: exact readings cannot be wrong." in words


HOSTILE = '"><script>alert(1)</script><b onload=x>'


def test_text_is_escaped(findings: dict[str, Any]) -> None:
    findings["study"].update(name=HOSTILE, data=HOSTILE, value=HOSTILE, classes=[HOSTILE])
    findings["warnings"] = [HOSTILE]
    findings["claims"]["F1"]["text"] = HOSTILE
    findings["provenance"]["versions"] = {HOSTILE: HOSTILE}
    findings["models"]["cold"]["source"] = HOSTILE
    findings["models"][HOSTILE] = findings["models"].pop("birds")
    findings["roles"]["after"] = HOSTILE
    for key in ("mean_salient", "sparsity", "salient_error"):
        findings["faithfulness"][key][HOSTILE] = findings["faithfulness"][key].pop("birds")
    for key in ("runs", "courses"):
        findings["dynamics"][key][HOSTILE] = findings["dynamics"][key].pop("birds")
    for sample in findings["samples"]:
        for outputs in (sample["v_full"], sample["v_empty"]):
            outputs[HOSTILE] = 0.5
    for sample in findings["samples"][:2]:
        sample["id"] = sample["class"] = HOSTILE
        sample["scene"]["words"] = [HOSTILE] * 6
    findings["study"]["player_names"] = [HOSTILE] * 6
    findings["forgotten"]["samples"][0].update({"sample": HOSTILE, "class": HOSTILE})
    html = render(findings)
    own = environment().get_template("tables.js").render()
    assert html.count("<script") == 2
    assert f"<script>\n{own}" in html
    assert in_script(html)["names"] == [HOSTILE] * 6
    assert "<b onload" not in html
    assert html.count("&lt;script&gt;") >= 10
    page = Page(html)
    assert page.tags.count("script") == 2
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
    "dynamics": (None, "No model has the three checkpoints"),
    "certificates": (None, "No certificates"),
    "warnings": ([], "This run has no warnings."),
    "study.salient": (0.05, "at least 5.0% of a sample's strongest"),
    "study.normalise": ("none", "Effects are in the raw units"),
}
PARTLY = {
    "dynamics.courses.cold.first_step": (None, "cold 0.38 [0.35, 0.42] never"),
    "dynamics.courses.cold.first_passage.mean": (None, "never – 37.0%"),
    "knowledge.shares.relearned.reason": (
        "what is preserved is not above chance",
        "relearned, R not measurable what is preserved is not above chance n = 40 observed 25.0%",
    ),
    "knowledge.by_reading.raw.new": (
        share(None, None, None) | {"reason": "nothing is there"},
        "raw units not measurable 2 – – – 40",
    ),
    "knowledge.fall_with_order.mean": (None, "is not measurable: one half of the orders is not"),
    "study.retest": (
        {"shift": 3, "baseline": None, "n_samples": 16},
        "Retest: 16 pictures were read once more, as an equivalent game that should give the same knowledge; "
        "the players are shifted by 3 pixels.",
    ),
    "dynamics.lead.dropped": (
        estimate(-0.2, 0.1),
        "birds later dropped 20.0 [17.4, 22.0] points more than cold",
    ),
    "certificates.missed": (3, "3 missed the requested gap of 0.001"),
    "models.cold.accuracy.mean": (None, "cold – n = 153"),
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
        "dynamics.lead": (None, "is ahead of"),
        "warnings": ([], "Before you rely on this"),
        "knowledge.identifiability": (None, "Over all splits within 0.1% of the sparsest"),
        "models.cold.checkpoints": (
            [],
            "cold control mobilenet_v2, control ants, bees (named by its config) 1 last",
        ),
    }
    words = changed(image_findings, {path: value for path, (value, _) in silent.items()})
    for text in ("p is two-sided", "Identifiability bounds", *(text for _, text in silent.values())):
        assert text in usual
        assert text not in words


def test_the_course_of_orders_has_its_numbers(image_findings: dict[str, Any]) -> None:
    point = image_findings["dynamics"]["runs"]["cold"][3]
    point["mean_order"]["mean"], point["strength"]["mean"] = 4.321, 0.7621
    for points in image_findings["dynamics"]["runs"].values():
        for each in points:
            for strengths in (each["by_order"], each["strength_by_order"]):
                strengths.append(strengths[-1])
    words = changed(image_findings, {"study.orders": 7})
    assert re.search(r"cold step10 10 4\.32 \[[^]]*\] 0\.76 \[", words)
    # More orders than lines are told apart.
    assert "Neighbouring orders are drawn together" in words
    assert "Neighbouring orders are drawn together" not in Page(rendered("image")).words


def test_a_sparse_reading_says_how_well_it_predicts(image_findings: dict[str, Any]) -> None:
    def one(mean: float) -> dict[str, Any]:
        return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "n": 40}

    held = {"r2": one(0.731), "terms": one(88.2), "unexplained": one(0.123)}
    for rows in image_findings["ledger"].values():
        rows += [{**rows[-1], "part": part, "models": None} for part in ("constant", "unexplained")]
    looks = [{"masks": 128, "r2": 0.7, "error": 0.4}, {"masks": 256, "r2": 0.705, "error": 0.3}]
    masks = {
        "number": 256,
        "of": "2^16",
        "design": "uniform",
        "shown": None,
        "looks": looks,
        "stopped": "R2 stays",
    }
    image_findings["faithfulness"]["held_out"] = dict.fromkeys(image_findings["models"], held)
    words = changed(
        image_findings,
        {
            "masks": masks,
            "ledger_error": None,
            "faithfulness.max_reconstruction_error": None,
            "certificates.tol": None,
        },
    )
    assert "256 of the 2¹⁶ masks were evaluated on each sample" in words
    assert "Their number was chosen during the run: R2 stays." in words
    assert "birds 0.73 [0.72, 0.74] 88.2 [88.2, 88.2] 12.3% [11.3, 13.3] 40" in words
    assert words.count(" any player") == words.count(" unexplained +") == len(image_findings["ledger"])
    assert "give back the model's output on every mask" not in words


def test_seeds_are_told_where_there_are_several(image_findings: dict[str, Any], usual: str) -> None:
    assert "seeds" not in re.sub(r"over seeds where|training seeds|\(and seeds\)", "", usual)
    image_findings["knowledge"]["shares"]["preserved"]["seeds"] = 3
    image_findings["dynamics"]["lead"]["area"]["seeds"] = 4
    words = Page(render(image_findings)).words
    assert "preserved 50% [40%, 60%] of what can be read of imagenet p < 0.001, n = 40, 3 seeds" in words
    assert "n = 40, 4 seeds, p < 0.001" in words


def test_null_numbers_become_dashes(findings: dict[str, Any]) -> None:
    def hollow(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() >= {"low", "high", "n"}:
                return {key: 1 if key in ("n", "seeds") else None for key in value}
            return {key: hollow(inner) for key, inner in value.items()}
        return [hollow(inner) for inner in value] if isinstance(value, list) else value

    page = Page(render(hollow(findings)))
    assert "None" not in page.words.replace("None in this sample.", "")
    assert not re.search(r"\bnan\b", page.words)
    assert "preserved not measurable there is nothing to take a share of n = 1" in page.words


def test_a_plain_and_decomposition_has_no_or_panels(image_findings: dict[str, Any]) -> None:
    rows = image_findings["knowledge"]["by_order"]
    image_findings["knowledge"]["by_order"] = [row for row in rows if row["type"] != "or"]
    html = render(image_findings)
    assert 'id="strength-before-and-title"' in html
    assert 'id="strength-before-or-title"' not in html
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
    # Twelve photographs of 224 pixels take 1.8 MB; the page is to stay below 2.5 MB with them.
    assert len(html.encode()) < 700_000


def test_other_versions_and_outside_pictures_are_refused(image_findings: dict[str, Any]) -> None:
    with pytest.raises(BequeathError, match=r"reads 'bequeath\.findings/7'"):
        render({"schema": "bequeath.findings/1"})
    image_findings["samples"][1]["scene"]["picture"] = "pictures/1.png"
    with pytest.raises(BequeathError, match=r"samples: bees/7\.jpg: picture.*'pictures/1.png'"):
        render(image_findings)
