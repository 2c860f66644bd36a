"""Checksums of files, written as "sha256:HEX" or "md5:HEX"."""

from __future__ import annotations

import hashlib
from pathlib import Path

from visionkit.errors import UsageError

_DIGITS = {"sha256": 64, "md5": 32}


def parse_checksum(text: str) -> tuple[str, str]:
    """The kind and the digits, in lower case.

    Raises:
        UsageError: it is malformed.
    """
    kind, _, digits = text.lower().partition(":")
    if len(digits) != _DIGITS.get(kind) or set(digits) - set("0123456789abcdef"):
        raise UsageError(f"{text!r}: not a checksum. Write sha256: and 64 hex digits, or md5: and 32.")
    return kind, digits


def digits_of(file: Path, kind: str) -> str:
    """The checksum of a file, in hex digits."""
    digest = hashlib.new(kind, usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
