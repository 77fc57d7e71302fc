"""The errors that users are meant to read."""


class BequeathError(ValueError):
    """Input that cannot be used: the message names the place, what was given, and what to do."""


class FolderInUse(BequeathError):
    """Another process is at work in the run's folder."""


class IncompleteRun(BequeathError):
    """A run came to its end, but too much of it failed for any findings."""
