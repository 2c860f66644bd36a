"""Which mask belongs to which image: by the stems of their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from visionkit.data.images import image_files, scan_folder
from visionkit.data.problems import refuse
from visionkit.data.splits import relative_name
from visionkit.errors import DataError, UsageError, listing

MASK_FOLDERS = ("masks", "labels")


class MaskedImages(NamedTuple):
    """The images, each with its mask, and what stands in the masks' names behind those of the images."""

    masks: dict[Path, Path]
    suffix: str
    folder: Path


def match_masks(root: Path, images: str, masks: str = "", suffix: str = "auto") -> MaskedImages:
    """Match the images in `root/images` with the masks in `root/masks`, at any depth.

    A mask has the stem of its image, with one suffix such as "_mask" behind it in all names; sub-folders
    have to be the same.

    Args:
        root: the data set's folder.
        images: name of the folder of images.
        masks: name of the folder of masks; `masks` or `labels`, whichever is there, where empty.
        suffix: behind the image's stem; "auto" finds it from the files.

    Raises:
        UsageError: no folder of images or masks is there, or two of masks are.
        DataError: an image has no mask, or more than one.
    """
    folder = root / (masks or _mask_folder(root))
    for option, name in (("--images", images), ("--masks", relative_name(folder, root))):
        if not (root / name).is_dir():
            raise UsageError(f"{option} {name}: there is no such folder in {root}{_folders(root)}.")
    if folder.resolve() == (root / images).resolve():
        raise UsageError(f"--masks {masks}: masks need a folder of their own, apart from the images.")
    pictures = image_files(root / images, recursive=True)
    by_stem: dict[str, list[Path]] = {}
    for file in image_files(folder, recursive=True):
        by_stem.setdefault(_stem(file, folder), []).append(file)
    stems = [_stem(picture, root / images) for picture in pictures]
    if suffix == "auto":
        suffix = _common_suffix(stems, by_stem, folder)
    pairs: dict[Path, Path] = {}
    for picture, stem in zip(pictures, stems):
        found_masks = by_stem.get(stem + suffix, [])
        if len(found_masks) == 1:
            pairs[picture] = found_masks[0]
        elif found_masks:
            names = listing([mask.name for mask in found_masks])
            refuse("ambiguous mask", f"{picture}: it has several masks, {names}. Keep one of them.", picture)
        else:
            wanted = f"{stem}{suffix}.png"
            message = (
                f"{picture}: it has no mask; {folder / wanted} is not there. Add it or remove the image."
            )
            refuse("missing mask", message, picture)
    return MaskedImages(pairs, suffix, folder)


def _mask_folder(root: Path) -> str:
    there = [name for name in MASK_FOLDERS if (root / name).is_dir()]
    if len(there) != 1:
        found = f"both {' and '.join(there)}" if there else f"neither {' nor '.join(MASK_FOLDERS)}"
        others = "" if there else _folders(root)
        raise UsageError(f"{root}: there is {found}{others}. Name the folder of the masks with --masks.")
    return there[0]


def _folders(root: Path) -> str:
    """The folders that there are, for a message."""
    names = scan_folder(root)[1]
    return f"; there are {listing(names, 12)}" if names else ""


def _stem(file: Path, folder: Path) -> str:
    """The path from `folder` without its ending."""
    return file.relative_to(folder).with_suffix("").as_posix()


def _common_suffix(stems: Sequence[str], masks: dict[str, list[Path]], folder: Path) -> str:
    """What stands behind the stems of most images in the names of the masks."""
    if not masks:
        return ""
    known = set(stems)
    counts: Counter[str] = Counter()
    for mask in masks:
        # The longest image's stem that the mask's begins with: frame_10_P belongs to frame_10, not frame_1.
        owner = next((mask[:end] for end in range(len(mask), 0, -1) if mask[:end] in known), None)
        if owner is not None:
            counts[mask[len(owner) :]] += 1
    if not counts:
        first = next(iter(masks.values()))[0]
        raise DataError(
            f"{folder}: no mask has the name of an image; the first of them is {first.name}, and an image "
            f"is called {stems[0]}. Call masks as their images are, with one ending such as _mask behind it."
        )
    best = counts.most_common(1)[0][1]
    tied = sorted(suffix for suffix, count in counts.items() if count == best)
    if len(tied) > 1 and "" not in tied:
        raise DataError(
            f"{folder}: masks end in {listing([repr(suffix) for suffix in tied])}. Say which to take with "
            "--mask-suffix."
        )
    return tied[0]  # the empty one comes first
