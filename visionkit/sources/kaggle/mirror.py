"""A Kaggle data set that holds what a competition no longer serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visionkit.atomic import write_atomically

RECORD = "SOURCE.txt"


@dataclass(frozen=True)
class KaggleMirror:
    """Where else the files of a competition are.

    Args:
        dataset: OWNER/NAME of the data set.
        renamed: what is called otherwise there: (name in the mirror, name in the competition).
    """

    dataset: str
    renamed: tuple[tuple[str, str], ...] = ()

    def name_of(self, part: str) -> str:
        """What the mirror calls the competition's `part`."""
        return next((there for there, here in self.renamed if here == part), part)


def record(folder: Path, slug: str, mirror: KaggleMirror, page: str, parts: list[str]) -> None:
    """Say in `folder` which parts are the mirror's; before they are there, so that no kill can lose it."""
    file = folder / RECORD
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for part in parts:
        there = mirror.name_of(part)
        origin = "" if there == part else f" (there: {there})"
        line = f"{part}{origin}: from {page}, because the competition {slug} no longer serves it."
        lines += [line] if line not in lines else []
    write_atomically(file, "\n".join(lines) + "\n")
