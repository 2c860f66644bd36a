"""A file that is still arriving: its bytes so far, and a record of what they are the beginning of."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from visionkit.atomic import write_atomically


@dataclass(frozen=True)
class Origin:
    """What the bytes of a partial file came from.

    Args:
        url: the address, without a user's name and password.
        validator: the server's strong ETag or else its Last-Modified; empty where it gave neither, and then
            the bytes cannot be gone on with.
        total: how many bytes the whole file has; None where the server does not say.
        filename: the name that the server gives the file; empty where it gives none.
    """

    url: str
    validator: str
    total: int | None
    filename: str = ""


class Partial:
    """`.NAME.part` and `.NAME.part.json` beside the file NAME that they are to become."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.file = target.with_name(f".{target.name}.part")
        self.record = target.with_name(f".{target.name}.part.json")

    def origin(self) -> Origin | None:
        """What is known of the bytes that are there; None where they are of no use."""
        try:
            origin = Origin(**json.loads(self.record.read_text(encoding="utf-8")))
            size = self.file.stat().st_size
            usable = bool(origin.validator) and (origin.total is None or size <= origin.total)
        except (OSError, ValueError, TypeError):
            return None
        return origin if usable and size else None

    def size(self) -> int:
        """How many bytes have arrived."""
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            return 0

    def begin(self, origin: Origin) -> None:
        """Start anew. In an order that never leaves bytes of one file beside the record of another."""
        self.record.unlink(missing_ok=True)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.open("wb").close()
        write_atomically(self.record, json.dumps(asdict(origin), indent=2) + "\n")

    def appending(self) -> IO[bytes]:
        """The file, open at its end."""
        return self.file.open("ab")

    def discard(self) -> None:
        """Forget what has arrived."""
        self.record.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)

    def finish(self) -> None:
        """The bytes are whole: flush them to the disk and rename them to the target."""
        with self.file.open("rb+") as file:
            os.fsync(file.fileno())
        self.file.replace(self.target)
        self.record.unlink(missing_ok=True)
