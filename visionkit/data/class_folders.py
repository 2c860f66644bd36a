"""Images in a folder for each class, with or without folders for training and validation above them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, NamedTuple

from visionkit.data.images import image_names_below, scan_folder, skipped_names
from visionkit.data.own_split import Splitter, chosen_option, drawn, who_validates
from visionkit.data.photos import PhotoSettings
from visionkit.data.problems import refuse, skipping
from visionkit.data.splits import TRAIN_FOLDERS, Splits, relative_name
from visionkit.errors import DataError, UsageError, listing
from visionkit.setting_types import setting

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset

TEST_FOLDERS = frozenset({"test", "testing"})
NO_CLASSES = frozenset({"__MACOSX"})
"""What macOS puts into archives beside the files themselves."""
ENLARGED = 3
"""So many times larger than they are, images are worth a remark."""
LOOKED_AT = 25


class ClassFolderSettings(PhotoSettings):
    """How class folders are divided."""

    valid_folder: Annotated[
        str,
        setting(
            "Which folder beside train validates: auto takes valid, val or validation, else test, as MNIST "
            "and CIFAR are divided; random draws from train and leaves the others out.",
            "Recipe",
            "auto|random|NAME",
            min_length=1,
        ),
    ] = "auto"


class ClassFolders(NamedTuple):
    """The labelled images of a folder.

    Args:
        labels: each image's class.
        train: the folder of training images; None where classes lie directly in the data's folder.
        valid: the folder of validation images; None where they are to be drawn.
        left_out: folders that are neither.
        empty: folders of classes without an image.
        loose: how many images lie beside the folders of the parts, which leaves them out.
    """

    labels: dict[Path, str]
    train: Path | None
    valid: Path | None
    left_out: list[Path]
    empty: list[Path]
    loose: int = 0

    def splitter(self, settings: ClassFolderSettings) -> Splitter:
        """Fastai's splitter of the images: those in `valid` validate, or drawn ones."""
        valid = self.valid
        if valid is None:
            return drawn(settings)

        def split(images: Sequence[Path]) -> Splits:
            held = [image.is_relative_to(valid) for image in images]
            train = [index for index, validates in enumerate(held) if not validates]
            return train, [index for index, validates in enumerate(held) if validates]

        return split


def class_folders(root: Path, valid_folder: str = "auto") -> ClassFolders:
    """The images below `root` with their classes.

    The class of an image is the first folder on its way from the folder of its part (`train`, `valid`), or
    from `root` where there are no parts; folders below it make no difference. Hidden folders are left out,
    and a folder that holds nothing but one folder of folders stands for that. Links to folders of parts and
    classes are followed, those below them are not.

    Args:
        root: the data set's folder.
        valid_folder: as in `ClassFolderSettings`.

    Raises:
        UsageError: `valid_folder` is not there.
        DataError: there are no class folders, images lie outside of them, or none is there to validate.
    """
    root = _without_wrapping(root)
    images, names = _look(root)
    folders = {name.lower(): root / name for name in names}
    train = next((folders[name] for name in sorted(TRAIN_FOLDERS) if name in folders), None)
    test = next((folders[name] for name in sorted(TEST_FOLDERS) if name in folders), None)
    valid = _valid_folder(root, folders, valid_folder, train, test)
    if train is None:
        if images:
            _refuse_loose(root, images)
        if not names:
            raise DataError(
                f"{root}: there are no folders of classes. Put images into a folder for each class."
            )
        classes = [root / name for name in names if root / name != test]
        left_out = [test] if test is not None else []
    else:
        parts = [part for part in (train, valid) if part is not None]
        classes = [folder for part in parts for folder in _classes(part)]
        left_out = [root / name for name in names if root / name not in parts]
    labels: dict[Path, str] = {}
    empty: list[Path] = []
    for folder in classes:
        inside = _images_in(folder)
        labels.update(dict.fromkeys(inside, folder.name))
        if not inside:
            empty.append(folder)
    if valid is not None and not any(image.is_relative_to(valid) for image in labels):
        raise DataError(
            f"{valid}: there is no image in it, and it is to validate. Add images, remove the folder, or "
            "take --valid-folder random."
        )
    return ClassFolders(labels, train, valid, left_out, empty, len(images) if train is not None else 0)


def test_images(root: Path) -> list[tuple[Path, str]]:
    """The images in the folder `test` (or testing) below `root`, each with its class, as `class_folders`.

    Empty where there is no such folder.
    """
    root = _without_wrapping(root)
    _, names = scan_folder(root)
    folder = next((root / name for name in names if name.lower() in TEST_FOLDERS), None)
    classes = _classes(folder) if folder is not None else []
    return [(image, each.name) for each in classes for image in _images_in(each)]


def describe_class_folders(dataset: Dataset) -> str:
    """What was found, and whether the images are far smaller than the size that they are trained at."""
    assert isinstance(dataset.settings, ClassFolderSettings)
    with skipping(dataset.skipped):
        found = class_folders(dataset.path, dataset.settings.valid_folder)
    parts = [part for part in (found.train, found.valid) if part is not None]
    if not chosen_option(dataset.settings):
        parts = parts[:1]
    places = " and ".join(f"{part.name}/" for part in parts or [dataset.path.resolve()])
    told = f"{found.valid.name}/ validates" if found.valid is not None else ""
    count = len(set(found.labels.values()))
    words = [
        f"found      {count:,} {'class' if count == 1 else 'classes'} by folders in {places}",
        who_validates(dataset.settings, told),
    ]
    left_out, empty = (
        [f"{relative_name(each, dataset.path)}/" for each in folders]
        for folders in (found.left_out, found.empty)
    )
    if found.loose:
        left_out.append(f"{found.loose:,} {'image' if found.loose == 1 else 'images'} beside them")
    for what, names in (("left out", left_out), ("without images", empty)):
        if names:
            words.append(f"{what}: {listing(names)}")
    lines = ["; ".join(words)]
    if small := _too_small(dataset):
        lines.append(small)
    return "\n".join(lines)


def _too_small(dataset: Dataset) -> str:
    """Says so where the images are much smaller than the size of the last stage."""
    from visionkit.data.opening import opened

    chosen = dataset.images[:: max(1, len(dataset.images) // LOOKED_AT)]
    sides = []
    for image in chosen:
        with suppress(Exception), opened(image) as picture:  # a check tells of them by itself
            sides.append(min(picture.size))
    if not sides:
        return ""
    side, size = int(median(sides)), dataset.settings.sizes[-1]
    enough = max(64, -(-side // 32) * 32)
    if size < ENLARGED * side or size <= enough:
        return ""
    return (
        f"note       the images have about {side} px, and {size} px enlarge them {size / side:.0f} times: "
        f"--size {enough} would be {(size / enough) ** 2:.0f} times faster."
    )


def _without_wrapping(root: Path) -> Path:
    """The folder that holds more than one folder, which archives may wrap into others."""
    images, folders = _look(root)
    while not images and len(folders) == 1:
        inside = root / folders[0]
        inner_images, inner = _look(inside)
        if inner_images or not inner:
            break
        root, images, folders = inside, inner_images, inner
    return root


def _valid_folder(
    root: Path, folders: dict[str, Path], wanted: str, train: Path | None, test: Path | None
) -> Path | None:
    there = next((folders[name] for name in ("valid", "val", "validation") if name in folders), None)
    if train is None:
        if there is not None:
            raise DataError(
                f"{there}: there is no folder train beside it. Name it so, or take --data {there}."
            )
        if wanted not in ("auto", "random"):
            raise UsageError(
                f"--valid-folder {wanted}: there is no folder train in {root} that it is beside."
            )
        return None
    if wanted == "auto":
        if there is not None or test is None:
            return there
        images, classes = _look(test)
        return test if classes and not images else None  # in competitions nobody knows what it shows
    if wanted == "random":
        return None
    if wanted.lower() not in folders or folders[wanted.lower()] == train:
        others = listing(sorted(folder.name for folder in folders.values() if folder != train)) or "none"
        raise UsageError(
            f"--valid-folder {wanted}: there is no such folder beside {train}; others: {others}."
        )
    return folders[wanted.lower()]


def _classes(part: Path) -> list[Path]:
    images, names = _look(part)
    if images:
        _refuse_loose(part, images)
    return [part / name for name in names]


def _look(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the images and of the folders in `folder`, links to folders among them."""
    images, folders = scan_folder(folder)
    here = folder.resolve()
    with os.scandir(folder) as entries:
        links = [entry.name for entry in entries if entry.is_symlink() and not entry.name.startswith(".")]
    for name in links:
        place = Path(os.path.realpath(folder / name))  # unlike Path.resolve, goes round in no circle
        if place.is_dir() and not here.is_relative_to(place):  # one that leads back holds all images
            folders.append(name)
    return images, sorted(name for name in folders if name not in NO_CLASSES)


def _refuse_loose(folder: Path, names: list[str]) -> None:
    """Refuse images that lie in no class's folder: in one message, or one problem each where gathered."""
    for name in names:
        path = folder / name
        try:
            refuse("image without a class", f"{path}: it lies in no folder of a class. Move it.", path)
        except DataError:
            raise DataError(
                f"{folder}: {len(names):,} images lie directly in it, in no folder of a class: "
                f"{listing(names)}. Move them into a folder for each class."
            ) from None


def _images_in(folder: Path) -> list[Path]:
    """The images in a class's folder, at any depth, without those that the user skips; none where empty."""
    names, folders = scan_folder(folder)
    skipped = skipped_names(folder)
    names = sorted([*names, *image_names_below(folder, folders)])
    return [folder / name for name in names if name not in skipped]
