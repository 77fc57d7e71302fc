"""The pages that are tested: README and everything in docs, but for what a build makes."""

from __future__ import annotations

from pathlib import Path

from sybil import Document, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
MADE = ("docs/_build", "docs/tutorials", "docs/reference/generated", "docs/reference/commands.md")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES = [page for page in PAGES if not page.relative_to(ROOT).as_posix().startswith(MADE)]


def name_of(page: Path) -> str:
    """Such as ``docs/games.md``."""
    return page.relative_to(ROOT).as_posix()


def document(page: Path) -> Document:
    """A page with its Python, hidden blocks and markers included."""
    return Sybil([PythonCodeBlockParser(), SkipParser()]).parse(page)


def blocks(page: Path, language: str) -> list[str]:
    """The text of a page's blocks of another language."""
    parser = CodeBlockParser(language=language, evaluator=lambda example: None)
    return [example.parsed for example in Sybil([parser]).parse(page).examples()]
