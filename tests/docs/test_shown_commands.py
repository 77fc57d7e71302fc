"""Commands that the pages show are commands: each is parsed by the command line itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from pages import PAGES, name_of

from bequeath.cli import app

BEQUEATH: Any = typer.main.get_command(app)
FENCE = re.compile(r"^```(?:bash|sh|console|)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[str]:
    """Those in blocks, without prompt and comment."""
    for block in FENCE.findall(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if match := re.match(r"\s*(?:\$ )?bequeath (.*)", line):
                yield match[1]


def mentions(text: str) -> Iterator[str]:
    """Those within sentences, which may leave out what is not the point, and synopses with options in brackets."""
    yield from re.findall(r"`bequeath ([a-z][^`\n]*)`", text)


SHOWN = [(name_of(page), line) for page in PAGES for line in commands(page.read_text())]
MENTIONED = [(name_of(page), line) for page in PAGES for line in mentions(page.read_text())]


def is_synopsis(line: str) -> bool:
    """Whether it says what may be given: in brackets, or more of the same."""
    return "[" in line or "..." in line


@pytest.mark.parametrize(("page", "line"), [one for one in SHOWN if not is_synopsis(one[1])])
def test_a_command_is_taken_as_it_stands(page, line):
    name, *arguments = shlex.split(line, comments=True)
    command = BEQUEATH.commands[name]
    with command.make_context(name, arguments) as context:
        assert context.params


@pytest.mark.parametrize(("page", "line"), [*MENTIONED, *(one for one in SHOWN if is_synopsis(one[1]))])
def test_a_command_that_is_mentioned_has_these_options(page, line):
    name = line.split()[0]
    assert name in BEQUEATH.commands, page
    options = {option for parameter in BEQUEATH.commands[name].params for option in parameter.opts}
    assert set(re.findall(r"(?<!\w)--[a-z][a-z-]*", line)) <= options | {"--help"}, page


def test_there_are_some():
    assert len(SHOWN) > 10
    assert len(MENTIONED) > 10
