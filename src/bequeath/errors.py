"""The one error that users are meant to read."""


class BequeathError(ValueError):
    """Input that cannot be used: the message names the place, what was given, and what to do."""
