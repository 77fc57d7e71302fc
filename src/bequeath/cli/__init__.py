"""The command line. Exit codes: 0 done, 1 failure, 2 input that cannot be used, 3 results are incomplete, 4 another
process is at work in the folder, 130 stopped."""

from __future__ import annotations

import os

# Threads that wait actively slow each other down on small or busy machines (measured: 10x and more).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from bequeath.cli import compare, layers, rank, view  # noqa: F401 - importing them adds their commands
from bequeath.cli.commands import app
from bequeath.cli.net import in_net


def main() -> None:
    """Run the command line."""
    in_net(app)


__all__ = ["app", "main"]
