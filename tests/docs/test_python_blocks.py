"""Python on the pages runs, block after block, in an empty folder with a small study in it."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

import matplotlib
import pytest
from pages import PAGES, ROOT, document, name_of
from tiny_study import write_study

# Pages with blocks that are run elsewhere, or not at all: each with its reason. There are to be few.
MOST_SKIPPED = 6


def skipped(page: Path) -> list[str]:
    """Reasons of a page's markers."""
    return re.findall(r'<!-- skip: next "(.*)" -->', page.read_text())


WITH_PYTHON = [page for page in PAGES if "```python" in page.read_text()]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_on_a_page_runs(page, tmp_path, monkeypatch):
    matplotlib.use("agg")
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "tests/docs")
    ran = 0
    for example in document(page).examples():
        try:
            example.evaluate()
            ran += isinstance(example.parsed, str)  # markers are examples, too
        except unittest.SkipTest:
            pass
    blocks = len(
        re.findall(r"^(```python|<!-- invisible-code-block: python)$", page.read_text(), re.MULTILINE)
    )
    assert ran == blocks - len(skipped(page))


def test_few_blocks_are_skipped_and_each_says_why():
    marks = {name_of(page): skipped(page) for page in PAGES}
    assert sum(map(len, marks.values())) <= MOST_SKIPPED
    for page in PAGES:
        assert page.read_text().count("<!-- skip:") == len(skipped(page)), name_of(page)
    for page, reasons in marks.items():
        for reason in reasons:
            for test in re.findall(r"tests/\S+\.py", reason):
                assert (ROOT / test).is_file(), f"{page}: {test}"
