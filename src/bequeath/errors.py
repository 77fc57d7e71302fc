"""Errors and warnings for users."""

from __future__ import annotations

from collections.abc import Sequence

from bequeath.printable import printable


class BequeathError(ValueError):
    """Input that cannot be used. The message names the place, what was given, and what to do."""

    def __str__(self) -> str:
        """The message in one line, without escape codes that may be in names from files."""
        return printable(super().__str__())


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its class if the message is empty."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def few(names: Sequence[str], most: int = 8) -> str:
    """Some names for a message: the first `most`, and the number of all if there are more."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class BequeathWarning(UserWarning):
    """A warning that readers of the numbers need; a study stores it in its findings."""


class FolderInUse(BequeathError):
    """Another process uses the folder of the run."""


class IncompleteRun(BequeathError):
    """A run ended, but too much of it failed to compute findings."""
