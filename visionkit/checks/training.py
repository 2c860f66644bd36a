"""What every training looks at before it starts: that all files decode, and that nothing leaks.

Of a recipe whose images are streamed, only the labels are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from visionkit.checks.facts import ImageFacts
from visionkit.checks.masks import look_at_masks, mask_problems
from visionkit.checks.points import dataset_point_problems
from visionkit.checks.scan import scan_images
from visionkit.data.splits import relative_name
from visionkit.errors import DataError, listing

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.sources.base import Store


def check_for_training(dataset: Dataset, store: Store) -> None:
    """Refuse a data set that cannot be trained on; say what would spoil its figures.

    Raises:
        DataError: names the images that do not decode, the first bad mask, the first bad points, or what the
            labels lack.
    """
    if dataset.recipe.streamed:
        dataset.task.check(dataset)
        return
    images = check_files(dataset, store)
    dataset.task.check(dataset)
    leaked = _leaked(images, dataset)
    if leaked:
        store.progress.note(
            f"warning    {len(leaked):,} validation images are training images too, byte for byte: "
            f"{listing(leaked, 3)}. The figures will be too good. visionkit check {dataset.recipe.name} "
            "tells more."
        )


def check_files(dataset: Dataset, store: Store) -> list[ImageFacts]:
    """What was seen of the images, all of which decode, as do their masks.

    Raises:
        DataError: names the images that do not decode, the first bad mask, or the first bad points.
    """
    images = scan_images(dataset.images, store.memory, store.progress)
    refuse_undecodable(images)
    if dataset.recipe.task == "segmentation":
        _refuse_masks(dataset, images, store)
    if dataset.recipe.task == "keypoints":
        _refuse_points(dataset, images, store)
    return images


def refuse_undecodable(images: Sequence[ImageFacts]) -> None:
    """Raise `DataError` where an image does not decode."""
    faults = [f"{facts.path} ({facts.fault})" for facts in images if facts.fault is not None]
    if faults:
        count = "an image does" if len(faults) == 1 else f"{len(faults):,} images do"
        raise DataError(
            f"{count} not decode: {listing(faults)}. Replace or remove them, with their labels; or let "
            "visionkit check --exclude FILE list them, and leave them out with --skip FILE."
        )


def _refuse_masks(dataset: Dataset, images: Sequence[ImageFacts], store: Store) -> None:
    """Raise `DataError` where a mask is not its image's, or holds codes without a name."""
    pairs, codes = look_at_masks(dataset, images, store.memory, store.progress)
    faults = [
        problem.message
        for problem in mask_problems(pairs, codes, {}, dataset.path)
        if problem.severity == "error"
    ]
    if faults:
        more = f" ({len(faults) - 1:,} more masks have faults.)" if len(faults) > 1 else ""
        raise DataError(f"{dataset.path}: {faults[0]}{more}")


def _refuse_points(dataset: Dataset, images: Sequence[ImageFacts], store: Store) -> None:
    """Raise `DataError` where an image has no points, or others than the rest; tell of points outside."""
    problems = dataset_point_problems(dataset, images)
    faults = [problem.message for problem in problems if problem.severity == "error"]
    if faults:
        more = f" ({len(faults) - 1:,} more images have bad points.)" if len(faults) > 1 else ""
        raise DataError(f"{dataset.path}: {faults[0]}{more}")
    if problems:
        more = f" ({len(problems) - 1:,} more are.)" if len(problems) > 1 else ""
        store.progress.note(f"warning    {problems[0].message}{more}")


def _leaked(images: Sequence[ImageFacts], dataset: Dataset) -> list[str]:
    """The validation images whose bytes are those of a training image."""
    digests = {facts.path: facts.digest for facts in images}
    trained = {digests[dataset.images[index]] for index in dataset.train}
    valid = (dataset.images[index] for index in dataset.valid)
    return [relative_name(image, dataset.path) for image in valid if digests[image] in trained]
