"""The tables of the page in a real browser: sorted by a heading, filtered, and whole where scripts are switched off."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from report_findings import make_findings

from bequeath.report import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)")

DRIVER = """
const said = [];
const table = document.querySelector("table[data-filterable]");
const names = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
const heads = [...table.tHead.rows[0].cells];
const press = (column) => heads[column].querySelector("button").click();
const controls = [...table.parentElement.previousElementSibling.querySelectorAll("input, select")];
const enter = (control, value) => { control.value = value; control.dispatchEvent(new Event("input")); };
said.push(names());
press(3); said.push(names());
press(3); said.push(names(), heads[3].getAttribute("aria-sort"));
press(0); said.push(names());
enter(controls[1], "bees"); said.push(names());
enter(controls[2], "learned"); said.push(names());
enter(controls[1], ""); enter(controls[2], ""); enter(controls[0], "B10"); said.push(names());
said.push(document.querySelector(".filters [role=status]").textContent);
document.body.append(Object.assign(document.createElement("pre"), { id: "said", textContent: JSON.stringify(said) }));
"""


def sample(name: str, kind: str, flip: str, total: float | None) -> dict[str, Any]:
    made = next(one for one in make_findings()["forgotten"]["samples"] if one["change"])
    change = None if total is None else {**made["change"], "total": total}
    return {"sample": name, "class": kind, "flip": flip, "change": change, "scene": None}


def test_rows_are_sorted_and_filtered(tmp_path: Path) -> None:
    findings = make_findings()
    findings["forgotten"]["samples"] = [
        sample("b2", "bees", "forgotten", -3.0),
        sample("b10", "bees", "learned", None),
        sample("a1", "ants", "learned", 10.5),
        sample("b1", "bees", "learned", 9.0),
    ]
    page = tmp_path / "page.html"
    page.write_text(
        render(findings).replace("</body>", f"<script>{DRIVER}</script></body>"), encoding="utf-8"
    )
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    (found,) = re.findall(r'<pre id="said">(.*?)</pre>', done.stdout)
    assert json.loads(unescape(found)) == [
        ["b2", "b10", "a1", "b1"],
        ["b2", "b1", "a1", "b10"],  # as numbers; what is not known comes last
        ["a1", "b1", "b2", "b10"],  # the other way round, too
        "descending",
        ["a1", "b1", "b2", "b10"],
        ["b1", "b2", "b10"],
        ["b1", "b10"],
        ["b10"],
        "1 of 4",
    ]
