"""Errors that a user can cause: each is one message that says what is wrong, where, and what to do."""

from __future__ import annotations


class VisionkitError(Exception):
    """Something went wrong that the user can mend; the message is all that the command line prints.

    `exit_code` is what the command line ends with: 1, it failed at run time.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message  # fastai puts words of its own into `args` of what a callback raises


class UsageError(VisionkitError):
    """The call or the settings were wrong: a key, a flag or a value. Exit code 2."""

    exit_code = 2


class DataError(VisionkitError):
    """The data set is not as the recipe needs it; the message names the file or the row."""


class EndedElsewhere(VisionkitError):
    """Another process has failed, and told why; this one ends without a word.

    Args:
        exit_code: that the other one ends with.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process of this training has failed; see its message")
        self.exit_code = exit_code


def nearest(name: str, known: list[str], limit: int = 3) -> str:
    """A hint for a misspelt `name`: " Did you mean 'x'?", or the known names where none is near.

    Args:
        name: what the user wrote.
        known: the names that exist.
        limit: how many near names to give at most.
    """
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name, known, n=limit, cutoff=0.6) or [
        by_lower[match] for match in get_close_matches(name.lower(), list(by_lower), n=limit, cutoff=0.6)
    ]
    if close:
        return f" Did you mean {' or '.join(repr(match) for match in close)}?"
    return f" There are: {', '.join(known)}." if len(known) <= 30 else ""


def listing(names: list[str], limit: int = 5) -> str:
    """`names` joined by commas, the first `limit` of them and a count of the rest."""
    shown = ", ".join(names[:limit])
    rest = len(names) - limit
    return f"{shown} and {rest:,} more" if rest > 0 else shown
