"""The errors that users are meant to read."""

from __future__ import annotations

from collections.abc import Sequence

from bequeath.printable import printable


class BequeathError(ValueError):
    """Input that cannot be used: the message names the place, what was given, and what to do."""

    def __str__(self) -> str:
        """One line without escape codes, whatever stands in the names: they come from files."""
        return printable(super().__str__())


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def few(names: Sequence[str], most: int = 8) -> str:
    """The first names, for an error."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class BequeathWarning(UserWarning):
    """What a reader of the numbers must know: a study puts it into its findings."""


class FolderInUse(BequeathError):
    """Another process is at work in the run's folder."""


class IncompleteRun(BequeathError):
    """A run came to its end, but too much of it failed for any findings."""
