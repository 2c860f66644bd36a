"""`visionkit predict`: a model's answers about many images, in a file that grows and can be gone on with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.filling import Filling, Outcome
from visionkit.inference.image_sources import Unusable, is_address
from visionkit.inference.inputs import Input
from visionkit.inference.targets import alone, target_of
from visionkit.inference.work import Work
from visionkit.progress import Progress, Silence


def predict_to(work: Work, inputs: Sequence[Input], out: Path, progress: Progress | None = None) -> Outcome:
    """Write the answers about `inputs` to `out`; images that it has already are not done again.

    Args:
        work: the model, and what is asked.
        inputs: the images; one that is there twice has two rows.
        out: a file that ends in .csv, .jsonl or .parquet; for masks and points also a folder.
        progress: hears how far it is, and of images that cannot be used.

    Raises:
        UsageError: nothing can be written to `out`, or it was begun with another model or other options.
        VisionkitError: `out` is damaged or cannot be written, or the model cannot compute.
    """
    target = target_of(out, work.description.task)
    if target.folder is not None:
        inputs = [each for each in inputs if not _inside(each, target.folder)]
    elif work.options.overlay:
        raise UsageError(f"--overlay writes pictures: give --out a folder instead of {out}.")
    with alone(target):
        try:
            return Filling(work, target, inputs).run(progress or Silence())
        except OSError as error:
            raise cannot_write(out, error) from error


def _inside(each: Input, folder: Path) -> bool:
    """Whether an image is one of those that an earlier call wrote."""
    if isinstance(each.image, Unusable) or is_address(each.image):
        return False
    return os.path.abspath(each.image).startswith(os.path.join(os.path.abspath(folder), ""))
