"""Images to try a model on: some of those that validated its run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from visionkit.data.splits import SPLIT_FILE
from visionkit.run_files import read_regular
from visionkit.runs import Run

MAX_SPLIT = 1 << 28


def validation_images(run: Run, count: int) -> list[Path]:
    """Up to `count` validation images of `run`, spread evenly; none where data or split are gone.

    Only files in the data set's folder count, whatever the split names.
    """
    folder = Path(run.info["data"]["path"])
    try:
        text = read_regular(run.path / SPLIT_FILE, MAX_SPLIT).decode(errors="surrogateescape")
        names = [
            row["image"] for row in csv.DictReader(io.StringIO(text, newline="")) if row["part"] == "valid"
        ]
    except (OSError, ValueError, KeyError, csv.Error):
        return []
    step = max(1, len(names) // max(count, 1))
    found = []
    for name in names[::step][:count]:
        file = folder / name
        if "\0" not in name and _within(file, folder) and file.is_file():
            found.append(file)
    return found


def _within(file: Path, folder: Path) -> bool:
    """Whether `file` lies in `folder` by its name; links there are the user's own."""
    return file.is_relative_to(folder) and ".." not in file.relative_to(folder).parts
