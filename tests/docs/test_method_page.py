"""The page of the method and the code name each other; the reference has all that is public."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from pages import PAGES, ROOT

import bequeath

ROLES = {
    (role, target)
    for page in PAGES
    for role, target in re.findall(r"\{(func|class|meth|mod)\}`([\w.]+)`", page.read_text())
}
REFERENCE = (ROOT / "docs/reference/api.md").read_text()
MODULES = (ROOT / "docs/reference/modules.md").read_text()


@pytest.mark.parametrize(("role", "target"), sorted(ROLES))
def test_a_function_that_a_page_names_is_there(role, target):
    home, _, name = target.rpartition(".")
    thing = getattr(import_module(home), name)
    assert callable(thing)
    assert isinstance(thing, type) == (role == "class")


def test_each_formula_names_the_function_that_computes_it():
    assert len([target for role, target in ROLES if role == "func"]) > 30


def test_sections_that_the_code_names_are_there():
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/method.md").read_text(), flags=re.MULTILINE)
    named = set()
    for file in ROOT.glob("src/**/*.py"):
        for sections in re.findall(
            r'docs/method\.md, sections? ((?:"[^"]+"(?:, |,\s+| and\s+)?)+)', file.read_text()
        ):
            named |= set(re.findall(r'"([^"]+)"', sections))
    assert {re.sub(r"\s+", " ", name) for name in named} <= set(headings)


def test_the_reference_has_all_that_is_public():
    modules = {"players", "baselines", "values", "plots"}
    listed = set(re.findall(r"^   (\w+)$", REFERENCE, flags=re.MULTILINE))
    assert set(bequeath.__all__) - modules <= listed
    for name in modules:
        module = getattr(bequeath, name)
        for one in module.__all__:
            # A class that is called in lower case is listed under its own name.
            assert {one, getattr(getattr(module, one), "__name__", one)} & listed, f"{name}.{one}"
