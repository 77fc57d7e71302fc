"""The errors that users are meant to read."""


class BequeathError(ValueError):
    """Input that cannot be used: the message names the place, what was given, and what to do."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


class FolderInUse(BequeathError):
    """Another process is at work in the run's folder."""


class IncompleteRun(BequeathError):
    """A run came to its end, but too much of it failed for any findings."""
