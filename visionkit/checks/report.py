"""The whole check: of a recipe's data set, or of any folder of images."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.checks.duplicates import duplicate_problems, find_duplicates
from visionkit.checks.facts import ImageFacts
from visionkit.checks.files import file_problems
from visionkit.checks.labels import label_balance, label_problems
from visionkit.checks.masks import PixelShare, look_at_masks, mask_problems, orphaned_masks, pixel_shares
from visionkit.checks.points import dataset_point_problems
from visionkit.checks.result import SEVERITIES, CheckReport, summary_rows
from visionkit.checks.scan import scan_images
from visionkit.data.images import image_files
from visionkit.data.problems import Problem, gathering
from visionkit.data.splits import TRAIN_FOLDERS, VALID_FOLDERS
from visionkit.data.upright import UPRIGHT_TASKS
from visionkit.progress import Progress

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset

__all__ = ["CheckReport", "check_dataset", "check_folder", "summary_rows"]


def check_dataset(
    dataset: Dataset, gathered: Sequence[Problem], memory: Path | None, progress: Progress
) -> CheckReport:
    """Look at every image, mask, point and label of a recipe's data set.

    Args:
        dataset: as `Dataset.find` finds it, without what the user skips.
        gathered: what was wrong when it was found: rows without an image and so on.
        memory: the file that remembers what was seen, as for `scan_images`.
        progress: hears how far the scan is.
    """
    started = time.monotonic()
    root = dataset.path
    parts = {dataset.images[index]: "train" for index in dataset.train}
    parts.update((dataset.images[index], "valid") for index in dataset.valid)
    images = scan_images(dataset.images, memory, progress)
    labels: dict[Path, Sequence[str]] = {}
    shares: list[PixelShare] = []
    problems = file_problems(images, root, as_stored=dataset.recipe.task not in UPRIGHT_TASKS)
    if dataset.recipe.task == "segmentation":
        pairs, codes = look_at_masks(dataset, images, memory, progress)
        shares = pixel_shares(pairs, codes, parts)
        problems += mask_problems(pairs, codes, parts, root)
        problems += orphaned_masks(map(Path, dataset.targets), [*dataset.images, *dataset.skipped], root)
    elif dataset.recipe.task == "keypoints":
        problems += dataset_point_problems(dataset, images)
    else:
        multiple = dataset.recipe.task == "multi-label"
        labels = {
            image: [str(tag) for tag in target] if multiple else [str(target)]
            for image, target in zip(dataset.images, dataset.targets)
        }
        problems += label_problems(labels, parts, multiple)
    report = _report(
        root, dataset.recipe.name, images, parts, labels, shares, [*gathered, *problems], started
    )
    with gathering():  # what it refuses while it reads the folder once more was gathered before
        return replace(report, remark=dataset.remark())


def check_folder(folder: Path, memory: Path | None, progress: Progress) -> CheckReport:
    """Look at every image in `folder` and below, without a recipe.

    Hidden files and folders are left out, and links to folders are not followed. What lies in `train`,
    `valid` (or `val`, `validation`) and `test` at the top belongs to that part; and where all images for
    training and validation lie in folders below those, these are their classes.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    started = time.monotonic()
    with gathering() as gathered:
        files = image_files(folder, recursive=True)
    parts = {file: part for file in files if (part := _part(file.relative_to(folder)))}
    images = scan_images(files, memory, progress)
    labels = _folder_classes(folder, parts)
    problems = file_problems(images, folder)
    if labels:
        problems += label_problems(labels, parts, multiple=False)
    return _report(folder, None, images, parts, labels, [], [*gathered, *problems], started)


def _report(
    root: Path,
    recipe: str | None,
    images: Sequence[ImageFacts],
    parts: Mapping[Path, str],
    labels: Mapping[Path, Sequence[str]],
    shares: list[PixelShare],
    problems: Sequence[Problem],
    started: float,
) -> CheckReport:
    joined = {path: " ".join(sorted(names)) for path, names in labels.items()}
    duplicates = find_duplicates(images, parts, joined)
    problems = [*problems, *duplicate_problems(duplicates, root)]
    balance = label_balance(labels, parts)
    return CheckReport(
        path=root,
        recipe=recipe,
        counts={
            "images": len(images),
            "train": sum(part == "train" for part in parts.values()),
            "valid": sum(part == "valid" for part in parts.values()),
            "classes": len(balance) or sum(bool(share.name) for share in shares),
            "bytes": sum(facts.bytes for facts in images),
            "seconds": round(time.monotonic() - started, 3),
        },
        problems=_ordered(problems),
        balance=balance,
        pixel_share=shares,
        duplicates=duplicates,
    )


def _ordered(problems: Sequence[Problem]) -> list[Problem]:
    """The gravest first, and within a severity the kinds in the order of their first problems."""
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(each.kind for each in problems))}
    return sorted(problems, key=lambda each: (SEVERITIES.index(each.severity), kinds[each.kind]))


def _part(file: Path) -> str:
    """The part that a file belongs to by the topmost folder on its way."""
    top = file.parts[0].lower() if len(file.parts) > 1 else ""
    if top in TRAIN_FOLDERS:
        return "train"
    if top in VALID_FOLDERS:
        return "valid"
    return "test" if top == "test" else ""


def _folder_classes(folder: Path, parts: Mapping[Path, str]) -> dict[Path, Sequence[str]]:
    """The class of every image for training and validation; none where some lie directly in the part."""
    labels = {
        file: [file.relative_to(folder).parts[1]]
        for file, part in parts.items()
        if part != "test" and len(file.relative_to(folder).parts) > 2
    }
    complete = len(labels) == sum(part != "test" for part in parts.values())
    return dict(labels) if complete else {}
