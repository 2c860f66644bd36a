"""What every source can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Source(Protocol):
    """A place that a data set can be fetched from."""

    @property
    def url(self) -> str:
        """The page that tells people about the data set, or the file itself."""

    def fetch(self, store: Path, note: Callable[[str], None]) -> Path:
        """The data set's folder, fetched into `store` where it is not there yet.

        Raises:
            VisionkitError: it cannot be fetched; the message says what to do.
        """
