"""Write the lowest versions that pyproject.toml allows, as constraints for pip.

    python scripts/lowest.py EXTRA ... > constraints-lowest.txt

The dependencies and those of the named extras are read, also extras that name others (``bequeath[text]``).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,]+)\])?(?:>=(?P<lowest>[\d.]+))?$")


def lowest(project: dict[str, Any], extras: list[str]) -> dict[str, str]:
    """Name -> lowest version of each dependency that has a lower bound."""
    return dict(sorted(_bounds(project, project["dependencies"], extras)))


def _bounds(project: dict[str, Any], wanted: list[str], extras: list[str]) -> Iterator[tuple[str, str]]:
    optional = project["optional-dependencies"]
    for requirement in [*wanted, *(one for extra in extras for one in optional[extra])]:
        match = _REQUIREMENT.match(requirement)
        if match is None:
            raise SystemExit(f"pyproject.toml: {requirement!r}: cannot be read; write name>=version")
        if match["name"] == project["name"]:
            yield from _bounds(project, [], match["extras"].split(","))
        elif match["lowest"]:
            yield match["name"], match["lowest"]


def main() -> None:
    """Print a line for each dependency."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    for name, version in lowest(project, sys.argv[1:]).items():
        # Of torch, the newest version alone has a wheel that needs no CUDA.
        print(f"{name}=={'2.13.0' if name == 'torch' else version}")


if __name__ == "__main__":
    main()
