"""Texts that stand for many: braces and stars in addresses."""

from __future__ import annotations

import glob
import re

MOST_SHARDS = 1_000_000
"""Texts that braces may stand for."""


def without_braces(text: str) -> list[str]:
    """The texts that `text` with its braces stands for, in order.

    Raises:
        ImportError: there are braces, and the package for them is not installed.
        ValueError: braces without an end, or far too many texts; the message says so.
    """
    if "{" not in text:
        return [text]
    from braceexpand import braceexpand

    try:
        if _count(text) > MOST_SHARDS:
            raise OverflowError
        return list(braceexpand(text))
    except OverflowError as error:
        raise ValueError(f"that is more than {MOST_SHARDS:,} shards") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("braces without an end") from error


def has_stars(text: str) -> bool:
    """Whether `text` stands for names that match it."""
    return glob.has_magic(text)


def _count(text: str) -> int:
    """How many texts the braces in `text` stand for; the library makes all of them at once."""
    total, depth, start = 1, 0, 0
    for place, letter in enumerate(text):
        if letter == "{":
            start = start if depth else place + 1
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
            total *= 1 if depth else _alternatives(text[start:place])
    return total


def _alternatives(inner: str) -> int:
    depth, parts = 0, [""]
    for letter in inner:
        depth += (letter == "{") - (letter == "}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    if len(parts) > 1:
        return sum(map(_count, parts))
    if found := re.fullmatch(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?", inner):
        return abs(int(found[2]) - int(found[1])) // (abs(int(found[3] or 1)) or 1) + 1
    if found := re.fullmatch(r"([a-zA-Z])\.\.([a-zA-Z])(?:\.\.(-?\d+))?", inner):
        return abs(ord(found[2]) - ord(found[1])) // (abs(int(found[3] or 1)) or 1) + 1
    return _count(inner)
