"""Links between pages lead somewhere, on GitHub and on the site; addresses of others are well-formed. No network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pages import PAGES, ROOT, name_of

LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\))?)\)")


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> Iterator[str]:
    """Targets of a page's links and pictures."""
    yield from LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        number = sum(one == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", one) is not None for one in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in links(page):
        if "://" in target:
            parts = urlsplit(target)
            assert parts.scheme == "https", target
            assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), target
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path).resolve()
        if file == ROOT / "docs/reference/commands.md":
            continue  # the build writes it
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_pages_of_the_site_link_to_the_site():
    """What lies above docs is not on the site."""
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs"):
            for target in links(page):
                if "://" not in target:
                    assert ((page.parent / target).resolve()).is_relative_to(ROOT / "docs"), (
                        name_of(page),
                        target,
                    )


def test_every_page_is_in_the_navigation():
    index = (ROOT / "docs/index.md").read_text()
    named = set(re.findall(r"^(?:.*<)?([\w/-]+)>?$", index, flags=re.MULTILINE))
    pages = {
        name_of(page).removeprefix("docs/").removesuffix(".md")
        for page in PAGES
        if page.parent == ROOT / "docs"
    }
    assert pages - {"index"} <= named


def test_links_are_seen():
    assert sum(len(list(links(page))) for page in PAGES) > 50
