"""What became of the photos that could not be had, so that nobody asks for them again."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock


class Journal:
    """A file with one line of JSON for each photo that is settled without being there.

    A line that a kill left half-written is passed over.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = Lock()
        self._settled: dict[tuple[str, str], str] = {}
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
            try:
                entry = json.loads(line)
                self._settled[str(entry["id"]), str(entry["url"])] = str(entry["outcome"])
            except (ValueError, TypeError, KeyError):
                continue

    def outcome(self, photo: str, url: str) -> str | None:
        """What became of the photo at this address; None where that is open."""
        return self._settled.get((photo, url))

    def write(self, photo: str, url: str, outcome: str) -> None:
        """Remember `outcome`."""
        line = json.dumps({"id": photo, "url": url, "outcome": outcome})
        with self._lock:
            self._settled[photo, url] = outcome
            with self.file.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")  # a line break first, for one that was cut off
