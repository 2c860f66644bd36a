"""Which images train and which validate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from visionkit.errors import DataError, listing

Splits = tuple[list[int], list[int]]


def validation_list(path: Path) -> Callable[[Sequence[Path]], Splits]:
    """A fastai splitter: the images whose file names stand in the text file `path`, one a line, validate.

    The splitter raises `DataError` where the file is missing, or names a file that is not there.
    """

    def split(images: Sequence[Path]) -> Splits:
        if not path.is_file():
            raise DataError(
                f"{path}: there is no such file; it lists the validation images, one file name a line."
            )
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (UnicodeDecodeError, OSError) as error:
            raise DataError(f"{path}: not a text file in UTF-8 ({error}).") from error
        names = {line.strip() for line in lines if line.strip()}
        unknown = sorted(names - {image.name for image in images})
        if unknown:
            raise DataError(
                f"{path}: {len(unknown)} of its {len(names)} names are of no image: {listing(unknown)}. "
                "Correct the list or add the images."
            )
        train = [index for index, image in enumerate(images) if image.name not in names]
        valid = [index for index, image in enumerate(images) if image.name in names]
        return train, valid

    return split
