"""The files that are written for each image: its mask, and a picture of the answer over the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from PIL import Image

from visionkit.inference.overlay import index_mask, mask_overlay, point_overlay, save_png
from visionkit.inference.preprocessing import Preprocessing
from visionkit.inference.results import MaskPrediction, PointPrediction
from visionkit.reporting.palette import class_colors

if TYPE_CHECKING:
    from visionkit.inference.streaming import Answered


class ImageFiles:
    """Writes `masks/NAME.png` and `overlays/NAME.png`.

    Args:
        folder: where to.
        vocab: names of codes or points.
        taken: names of files that images have already.
        preprocessing: reads images as the model sees them.
    """

    def __init__(
        self, folder: Path, vocab: Sequence[str], taken: Iterable[str], preprocessing: Preprocessing
    ) -> None:
        self.folder, self.preprocessing = folder, preprocessing
        self.colors = class_colors(vocab)
        self._taken = {name.casefold() for name in taken}

    def named(self, answers: Iterable[Answered]) -> Iterator[Answered]:
        """The answers, each with the name of its own file; where one is taken, the next has a number."""
        for answer in answers:
            if answer.prediction is None:
                yield answer
                continue
            kind = "masks" if isinstance(answer.prediction, MaskPrediction) else "overlays"
            place, number = answer.input.place(), 1
            name = PurePath(kind, f"{place}.png").as_posix()
            while name.casefold() in self._taken:
                number += 1
                name = PurePath(kind, f"{place}-{number}.png").as_posix()
            self._taken.add(name.casefold())
            yield replace(answer, file=name)

    def write(self, answer: Answered) -> Answered:
        """Write the files of an answer with a name; a picture over the image where its file was kept.

        Raises:
            OSError: they cannot be written.
        """
        prediction = answer.prediction
        if isinstance(prediction, MaskPrediction):
            save_png(index_mask(prediction, self.colors), self.folder / answer.file)
            if answer.encoded:
                over = mask_overlay(self._picture(answer), prediction, self.colors)
                name = PurePath("overlays", *PurePath(answer.file).parts[1:])
                save_png(over, self.folder / name, level=1)
        elif isinstance(prediction, PointPrediction) and answer.encoded:
            over = point_overlay(self._picture(answer), prediction, self.colors)
            save_png(over, self.folder / answer.file, level=1)
        return replace(answer, encoded=b"")

    def _picture(self, answer: Answered) -> Image.Image:
        with Image.open(BytesIO(answer.encoded)) as image:
            return self.preprocessing.read(image)
