"""Images and masks of a user's own folder: matched, and their codes found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from visionkit.data.own_split import Splitter, drawn, who_validates
from visionkit.data.problems import skipping
from visionkit.data.splits import (
    TRAIN_FOLDERS,
    VALID_FOLDERS,
    folder_split,
    relative_name,
    validation_list,
)
from visionkit.errors import DataError, UsageError, listing
from visionkit.setting_types import Names, OptionalPath, setting
from visionkit.settings import TrainSettings

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.data.mask_reader import MaskReader


class OwnMasks(TrainSettings):
    """Where images and masks are, and what masks mean."""

    images: Annotated[str, setting("Folder of the images, from --data.", "Recipe", min_length=1)] = "images"
    masks: Annotated[
        str, setting("Folder of the masks, from --data; masks or labels if empty.", "Recipe")
    ] = ""
    mask_suffix: Annotated[
        str,
        setting("What masks' names have behind their images' stems, such as _mask.", "Recipe", "auto|SUFFIX"),
    ] = "auto"
    codes: Annotated[
        OptionalPath,
        setting(
            "codes.txt, or a CSV file with name, r, g, b; if empty, the one in the data's folder, or what "
            "occurs in the masks.",
            "Recipe",
        ),
    ] = None
    ignore: Annotated[
        Names,
        setting(
            "Codes that loss and metrics leave out: names, values, or colours as #80ff00. Void always is.",
            "Recipe",
            "CODE…",
        ),
    ] = ()


class FoundMasks(NamedTuple):
    """Each image's mask, what reads the masks, fastai's splitter of the images, and all that in words."""

    masks: dict[Path, Path]
    reader: MaskReader
    splitter: Splitter
    remark: str


def find_masks(root: Path, settings: OwnMasks) -> FoundMasks:
    """The images in `root` with their masks.

    The images that `root/valid.txt` lists validate; without it those in a folder valid, where one called
    train is beside it in the images' folder; otherwise drawn ones.

    Raises:
        UsageError: an option names what is not there.
        DataError: images and masks do not match, or the codes cannot be told.
    """
    from visionkit.data.mask_codes import meaning_of_masks
    from visionkit.data.mask_folders import match_masks

    matched = match_masks(root, settings.images, settings.masks, settings.mask_suffix)
    if not matched.masks:
        raise DataError(f"{root / settings.images}: no image has a mask in {matched.folder}.")
    files = list(matched.masks.values())
    meaning = meaning_of_masks(root, files, _codes(root, settings.codes), settings.ignore)
    reader = meaning.reader()
    place, suffix = relative_name(matched.folder, root), matched.suffix
    named = f", called as their images with {suffix!r} behind" if suffix else ""
    ignored = f"; left out: {listing(meaning.ignored)}" if meaning.ignored else ""
    counted = [code for code in reader.codes if code.lower() != "void"]
    splitter, told = _splitter(root, settings, list(matched.masks))
    remark = (
        f"found      masks in {place}/{named}; {len(counted)} codes by {meaning.source}: "
        f"{listing(counted, 8)}{ignored}; {who_validates(settings, told)}"
    )
    return FoundMasks(matched.masks, reader, splitter, remark)


def _splitter(root: Path, settings: OwnMasks, images: list[Path]) -> tuple[Splitter, str]:
    """Who validates, and in words what in the data says so."""
    listed = root / "valid.txt"
    if listed.is_file():
        return validation_list(listed), f"{listed.name} tells who validates"
    folder = root / settings.images
    parts = [relative_name(image, folder).split("/")[0].lower() for image in images]
    valid = sorted(VALID_FOLDERS.intersection(parts))
    if valid and not TRAIN_FOLDERS.isdisjoint(parts):
        others = sum(part not in TRAIN_FOLDERS | VALID_FOLDERS for part in parts)
        left_out = f"; left out: {others:,} in other folders" if others else ""
        return lambda chosen: folder_split(chosen, folder), f"{listing(valid)}/ validates{left_out}"
    return drawn(settings), ""


def describe_masks(dataset: Dataset) -> str:
    """What was found, in a line."""
    assert isinstance(dataset.settings, OwnMasks)
    with skipping(dataset.skipped):
        return find_masks(dataset.path, dataset.settings).remark


def _codes(root: Path, named: Path | None) -> Path | None:
    """The file that --codes names, from the data's folder or from the current one."""
    if named is None:
        return None
    for file in (root / named.expanduser(), named.expanduser()):
        if file.is_file():
            return file
    raise UsageError(f"--codes {named}: there is no such file, neither in {root} nor here.")
