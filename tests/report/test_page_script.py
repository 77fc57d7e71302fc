"""The page in a real browser: samples are searched, sorted, filtered and opened; tables are sorted and filtered.

Debian's Chromium is driven by Playwright, which brings no browser of its own here.
"""

# ruff: noqa: RUF001 -- the page prints real minus signs.

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_findings import make_findings

from bequeath.report import render

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def flipped(name: str, kind: str, flip: str, total: float | None) -> dict[str, Any]:
    made = next(one for one in make_findings()["forgotten"]["samples"] if one["change"])
    change = None if total is None else {**made["change"], "total": total}
    return {"sample": name, "class": kind, "flip": flip, "change": change}


def _pages() -> dict[str, dict[str, Any]]:
    image = make_findings("image")
    image["forgotten"]["samples"] += [
        flipped("b10", "bees", "learned", None),
        flipped("a1", "ants", "learned", 10.5),
        flipped("b1", "bees", "learned", 9.0),
    ]
    areas = make_findings("image")
    areas["study"]["boxes"] = None
    # Six areas of two columns and one row each, in a grid of 4 x 3; a run goes on in the next row.
    areas["samples"][0]["scene"]["areas"] = {
        "width": 4,
        "height": 3,
        "runs": [0, 2, 1, 2, 2, 2, 3, 3, 4, 1, 5, 2],
    }
    return {"image": image, "text": make_findings("text"), "areas": areas}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages as files: of pictures with boxes, of texts, of pictures with areas of any shape."""
    folder = tmp_path_factory.mktemp("pages")
    for name, findings in _pages().items():
        (folder / f"{name}.html").write_text(render(findings), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in ("image", "text", "areas")}


class Opened:
    """A page in the browser, and what it complained of."""

    def __init__(self, browser: Any, file: Path, address: str = "", **how: Any) -> None:
        self.context = browser.new_context(offline=True, **how)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note)
        self.page.goto(file.as_uri() + address)

    def _note(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.complaints.append(request.url)

    def shown(self) -> list[str]:
        return self.page.eval_on_selector_all(".strip button", "all => all.map(one => one.dataset.sample)")

    def lit(self) -> list[int]:
        return self.page.eval_on_selector_all(".lit", "all => all.map(one => Number(one.dataset.player))")

    @property
    def address(self) -> str:
        return self.page.url.partition("#")[2]


@pytest.fixture
def opened(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """Opens one of the pages; in the end nothing may stand in the console, and nothing may have been fetched."""
    every: list[Opened] = []

    def start(name: str = "image", address: str = "", **how: Any) -> Opened:
        every.append(Opened(browser, files[name], address, **how))
        return every[-1]

    yield start
    for one in every:
        one.context.close()
        assert one.complaints == []


def test_samples_are_searched_and_filtered(opened):
    view = opened()
    page = view.page
    assert len(view.shown()) == 40
    page.fill("[name=find]", "VAL/03")
    assert view.shown() == [f"val/03{digit}" for digit in range(10)]
    assert page.inner_text("#explorer form [role=status]") == "10 of 40"
    page.fill("[name=find]", "")
    page.select_option("[name=class]", "ants")
    assert view.shown() == ["val/000"]
    page.select_option("[name=class]", "")
    page.select_option("[name=verdict]", label="forgotten")
    assert view.shown() == ["bees/7.jpg"]
    assert view.address == "samples&verdict=forgotten&sample=val%2F000"
    page.fill("[name=find]", "nothing like this")
    assert page.inner_text(".strip") == "No sample fits."


def test_samples_are_sorted(opened):
    view = opened()
    samples = make_findings()["samples"]

    def by(key: Any) -> list[str]:
        return [sample["id"] for sample in sorted(samples, key=key)]

    view.page.select_option("[name=sort]", "lost")
    assert view.shown() == by(lambda sample: -sample["strength"]["discarded"])
    view.page.select_option("[name=sort]", "gained")
    assert view.shown() == by(lambda sample: -sample["strength"]["new"])
    view.page.select_option("[name=sort]", "forgotten")
    assert view.shown()[:4] == ["bees/7.jpg", "val/002", "val/003", "val/000"]


def test_players_light_up_on_hover_focus_and_click(opened):
    view = opened()
    page = view.page
    rows = page.locator("tr[data-term]")
    assert rows.locator("button").all_inner_texts() == [
        "AND r1c2, r2c2",
        "AND r1c3",
        "AND r1c1, r1c2, r2c1",
        "OR r1c1, r2c3",
        "OR r2c1, r2c3",
        "AND r2c2, r2c3",
    ]
    parts = ["preserved", "new", "discarded", "preserved", "flipped", "control only"]
    assert page.locator("td.what").all_inner_texts() == parts
    assert view.lit() == []
    rows.nth(0).hover()
    assert view.lit() == [1, 4]
    assert "or" not in page.get_attribute(".scene", "class").split()
    page.mouse.move(0, 0)
    assert view.lit() == []
    rows.nth(3).locator("button").focus()
    assert view.lit() == [0, 5]
    assert "or" in page.get_attribute(".scene", "class").split()
    page.keyboard.press("Enter")
    assert rows.nth(3).locator("button").get_attribute("aria-pressed") == "true"
    assert view.address == "samples&sample=val%2F000&term=3"
    rows.nth(1).locator("button").focus()
    assert view.lit() == [2]
    page.locator("h1").click()
    page.evaluate("document.activeElement.blur()")
    assert view.lit() == [0, 5]  # the pinned one comes back
    rows.nth(3).locator("button").focus()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    assert view.lit() == []
    assert view.address == "samples&sample=val%2F000"


def test_a_player_shows_which_interactions_it_is_in(opened):
    view = opened()
    view.page.locator("path.player").nth(5).hover()
    marked = view.page.eval_on_selector_all("tr.with", "all => all.map(one => Number(one.dataset.term))")
    assert marked == [3, 4, 5]


def test_players_lie_where_the_boxes_say(opened):
    view = opened()
    boxes = view.page.eval_on_selector_all(
        "path.player",
        "all => all.map(one => { const b = one.getBBox(); return [b.x, b.y, b.width, b.height]; })",
    )
    # The picture is 6 x 4 pixels: 300 x 200 in the drawing, in 3 x 2 cells.
    assert boxes == [pytest.approx([100 * c, 100 * r, 100, 100]) for r in range(2) for c in range(3)]


def test_areas_of_any_shape_are_drawn(opened):
    view = opened("areas")
    squares = view.page.eval_on_selector_all("path.player", "all => all.map(one => one.getAttribute('d'))")
    # In units of a square, 75 x 66.7: player 3 has two squares of the second row and one of the third.
    assert [path.count("M") for path in squares] == [1, 1, 1, 2, 1, 1]
    x, y = (float(number) for number in re.match(r"M([\d.]+) ([\d.]+)", squares[3]).groups())
    assert (x, y) == pytest.approx((150, 200 / 3))


def test_a_link_opens_the_same_view(opened):
    view = opened(address="#samples&verdict=forgotten&sample=bees%2F7.jpg&term=2")
    assert view.shown() == ["bees/7.jpg"]
    assert view.page.input_value("[name=verdict]") == "forgotten"
    assert view.page.inner_text("article h3") == "bees, forgotten"
    view.page.wait_for_selector(".lit", state="attached")
    assert view.lit() == [0, 1, 3]
    assert view.page.evaluate("document.getElementById('samples').getBoundingClientRect().top") < 5
    words = view.page.inner_text("article .differs")
    assert "The output of birds less that of imagenet is −3.00: lost −1.50, came −1.00, turned −0.70" in words
    assert "With r1c2, r2c1, r2c2 hidden, it is −1.35 (the readings say −0.90" in words


def test_the_browsers_back_button_goes_back(opened):
    view = opened()
    view.page.locator(".strip button").nth(1).click()
    view.page.locator(".strip button").nth(4).click()
    assert view.page.inner_text("article .quiet") == "sample val/004"
    view.page.go_back()
    assert view.page.inner_text("article .quiet") == "sample bees/7.jpg"
    view.page.go_back()
    assert view.page.inner_text("article .quiet") == "sample val/000"


def test_links_to_other_parts_of_the_page_leave_the_samples_as_they_are(opened):
    view = opened()
    view.page.select_option("[name=verdict]", label="forgotten")
    view.page.locator(".strip button").nth(0).click()
    view.page.click("nav a[href='#sure']")
    view.page.click("nav a[href='#samples']")
    assert view.shown() == ["bees/7.jpg"]
    assert view.page.inner_text("article .quiet") == "sample bees/7.jpg"


def test_keys_go_from_sample_to_sample(opened):
    view = opened()
    view.page.locator(".strip button").nth(0).focus()
    view.page.keyboard.press("ArrowRight")
    assert view.page.inner_text("article .quiet") == "sample bees/7.jpg"
    view.page.keyboard.press("ArrowLeft")
    view.page.keyboard.press("ArrowLeft")
    assert view.page.inner_text("article .quiet") == "sample val/039"
    assert "interactions are not kept" in view.page.inner_text("article")


def test_words_light_up(opened):
    view = opened("text")
    view.page.locator("tr[data-term]").nth(0).hover()
    assert view.page.locator(".word.lit").all_inner_texts() == ["gripping", "moving"]
    assert view.page.locator("tr[data-term] button").nth(0).inner_text() == "AND gripping, moving"


def test_taps_work_on_a_phone_and_nothing_is_wider_than_it(opened):
    view = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    view.page.locator(".strip button").nth(1).tap()
    view.page.locator("tr[data-term] button").nth(2).tap()
    assert view.lit() == [0, 1, 3]
    assert view.page.evaluate("document.documentElement.scrollWidth") == 390
    assert view.page.locator(".scene").evaluate("one => one.getBoundingClientRect().top") >= 0


def test_controls_have_names_for_screen_readers(opened):
    view = opened()
    page = view.page
    nameless = page.eval_on_selector_all(
        "#explorer :is(button, input, select, svg, ul, article)",
        "all => all.filter(one => !(one.getAttribute('aria-label') || one.textContent.trim())).length",
    )
    assert nameless == 0
    button = page.get_by_role("button", name="bees, forgotten, sample bees/7.jpg")
    assert button.count() == 1
    assert page.get_by_role("list", name="Samples").count() == 1
    assert page.get_by_role("rowheader", name="AND r1c2, r2c2").count() == 1


def test_dark_and_print_have_their_own_looks(opened):
    dark = opened(color_scheme="dark").page
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 29)"
    dark.emulate_media(media="print")
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not dark.locator(".strip").is_visible()
    assert dark.locator("article.sample").is_visible()


def test_without_scripts_the_tables_are_whole(opened):
    page = opened(java_script_enabled=False).page
    assert page.locator("#explorer").is_hidden()
    assert "which is switched off" in page.inner_text("noscript")
    assert page.locator("#samples details tbody tr").count() == 40


def test_rows_of_tables_are_sorted_and_filtered(opened):
    page = opened().page
    table = page.locator("table[data-filterable]")
    bar = page.locator("#forgotten .filters")

    def names() -> list[str]:
        return table.locator("tbody tr:not([hidden]) th").all_inner_texts()

    assert names() == ["bees/7.jpg", "ants/3.jpg", "b10", "a1", "b1"]
    change = table.locator("thead button").nth(3)
    change.click()
    # As numbers; what is not known comes last, whichever way the rows are sorted.
    assert names() == ["bees/7.jpg", "b1", "a1", "ants/3.jpg", "b10"]
    change.click()
    assert names() == ["a1", "b1", "bees/7.jpg", "ants/3.jpg", "b10"]
    assert table.locator("thead th").nth(3).get_attribute("aria-sort") == "descending"
    table.locator("thead button").nth(0).click()
    assert names() == ["a1", "ants/3.jpg", "b1", "b10", "bees/7.jpg"]  # 10 comes after 1 and before names
    bar.locator("select").nth(0).select_option("bees")
    bar.locator("select").nth(1).select_option("learned")
    assert names() == ["b1", "b10"]
    bar.locator("select").nth(0).select_option("")
    bar.locator("select").nth(1).select_option("")
    bar.locator("input").fill("B10")
    assert names() == ["b10"]
    assert bar.locator("[role=status]").inner_text() == "1 of 5"


def test_a_flipped_sample_opens_from_the_table(opened):
    view = opened()
    view.page.click("#forgotten a[href*='bees']")
    view.page.wait_for_function("document.querySelector('article h3').textContent.includes('forgotten')")
    assert view.page.inner_text("article .quiet") == "sample bees/7.jpg"
