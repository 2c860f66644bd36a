"""What divides the labels of an image."""

from __future__ import annotations

DELIMITERS = {"space": " ", "comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


def find_delimiter(texts: list[str], plural: bool) -> str | None:
    """What divides the labels of an image; None where each has one.

    A bar or semicolon divides wherever it stands. A comma or space does where one value in twenty has it and
    the parts make up more values than there are parts, or where the column's name is a plural: "golden
    retriever" is one label.
    """
    for delimiter in "|;":
        if any(delimiter in text for text in texts):
            return delimiter
    for delimiter in ", ":
        share = sum(delimiter in text for text in texts) / max(1, len(texts))
        parts = {part for text in texts for part in divided(text, delimiter)}
        if share >= 0.05 and (plural or len(parts) < len(set(texts))):
            return delimiter
    return None


def divided(text: str, delimiter: str) -> list[str]:
    """The labels in `text`, each once, without spaces around them."""
    return list(dict.fromkeys(part.strip() for part in text.split(delimiter) if part.strip()))


def character(text: str) -> str:
    """What divides, from its name in words or as it is."""
    return DELIMITERS.get(text.casefold(), text)


def delimiter_name(delimiter: str) -> str:
    """What divides, for people."""
    return next((name for name, text in DELIMITERS.items() if text == delimiter), repr(delimiter))
