"""Text of others, such as file names, as it may be printed."""

from __future__ import annotations


def visible(text: object) -> str:
    """`text` with what cannot be seen, such as control characters, written out as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in str(text)
    )


def visible_lines(text: object) -> str:
    """As `visible`, for text of several lines, which it stays."""
    return "\n".join(visible(line) for line in str(text).split("\n"))
