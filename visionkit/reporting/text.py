"""Names and sentences as plots have room for them: on one line and cut, or in lines of a given width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from unicodedata import east_asian_width

from visionkit.visible import visible

LONGEST = 40
"""Characters of a name that a plot has room for."""
FONT_SIZE = 11
"""Points; no text is smaller, so that all can be read on a picture that is shown at half its size."""
_FILLER = "\0"
"""Stands for the second half of a wide letter; `visible` leaves none in a text."""
_EM = 0.56
"""Width of a letter over the size of its font, rather too much than too little."""


def shown_name(name: object, longest: int = LONGEST) -> str:
    """A name of a class, a tag or a run as a plot shows it: on one line, and cut in the middle if long."""
    shown = visible(name)
    if len(shown) <= longest:
        return shown
    tail = longest // 3
    return f"{shown[: longest - tail - 1]}…{shown[-tail:]}"


def text_width(texts: Iterable[str], size: float = FONT_SIZE) -> float:
    """About how many inches the longest of the texts takes on one line."""
    return max(map(_letters, texts), default=0) * _EM * size / 72


def wrapped(text: str, width: float, size: float = FONT_SIZE, most_lines: int | None = None) -> str:
    """`text` in lines of at most `width` inches; of more lines than `most_lines` the last are left out."""
    shown = "".join(letter + _FILLER * _is_wide(letter) for letter in visible(text))
    letters = max(int(72 * width / (_EM * size)) - 1, 4)  # a line may begin with a filler
    lines = textwrap.wrap(shown, letters, max_lines=most_lines, placeholder=" …", break_on_hyphens=False)
    return "\n".join(lines).replace(_FILLER, "")


def _letters(text: str) -> int:
    """Its length, where Chinese, Japanese and Korean characters are twice as wide as others."""
    return len(text) + sum(map(_is_wide, text))


def _is_wide(letter: str) -> bool:
    return east_asian_width(letter) in "WF"
