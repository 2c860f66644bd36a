"""Findings about masks: missing ones, sizes, codes without a name, classes that never occur, pixel shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visionkit.checks.facts import ImageFacts, MaskFacts
from visionkit.checks.scan import scan_masks
from visionkit.data.images import IMAGE_ENDINGS
from visionkit.data.mask_reader import mask_reader
from visionkit.data.masks import void_index
from visionkit.data.problems import Problem, gathering
from visionkit.data.splits import relative_name
from visionkit.errors import listing
from visionkit.progress import Progress

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset


@dataclass(frozen=True)
class PixelShare:
    """How much of the masks a code covers.

    Args:
        code: its number in the masks.
        name: its name in codes.txt; empty where it has none.
        pixels: in all masks together.
        share: of all pixels, 0 to 1.
        train: in how many masks for training it occurs.
        valid: in how many masks for validation it occurs.
    """

    code: int
    name: str
    pixels: int
    share: float
    train: int
    valid: int


class LookedAtMasks(NamedTuple):
    """The masks of a data set, and the codes they are read by.

    Args:
        pairs: each image with its mask.
        codes: the names of the codes, from 0.
    """

    pairs: list[tuple[ImageFacts, MaskFacts]]
    codes: list[str]


def look_at_masks(
    dataset: Dataset, images: Sequence[ImageFacts], memory: Path | None, progress: Progress
) -> LookedAtMasks:
    """Look at the masks of the scanned `images` of `dataset`, a segmentation."""
    from visionkit.tasks.segmentation import mask_codes

    with gathering():  # what making the block refuses has been told before
        block = dataset.block()
    codes, reader = mask_codes(block.item_tfms), mask_reader(block)
    found = scan_masks(map(Path, dataset.targets), memory, progress, reader)
    masks = {facts.path: facts for facts in found}
    by_path = {facts.path: facts for facts in images}
    pairs = zip(dataset.images, dataset.targets)
    return LookedAtMasks([(by_path[image], masks[Path(target)]) for image, target in pairs], codes)


def mask_problems(
    pairs: Sequence[tuple[ImageFacts, MaskFacts]], codes: Sequence[str], parts: Mapping[Path, str], root: Path
) -> list[Problem]:
    """What is wrong with the masks of images; the files that problems name are the images.

    Args:
        pairs: each image with its mask.
        codes: the names of the codes, from 0.
        parts: "train" or "valid" for the images of either.
        root: the folder that names are given from.
    """
    problems = [problem for image, mask in pairs for problem in _mask_faults(image, mask, codes, root)]
    problems += _too_few(codes)
    problems += _all_void(pairs, codes, root)
    problems += _unused(pixel_shares(pairs, codes, parts))
    return problems


def pixel_shares(
    pairs: Sequence[tuple[ImageFacts, MaskFacts]], codes: Sequence[str], parts: Mapping[Path, str]
) -> list[PixelShare]:
    """How much of the masks each code covers: those that have names, and those in masks that have none."""
    pixels: Counter[int] = Counter()
    occurrences = {"train": Counter[int](), "valid": Counter[int]()}
    for image, mask in pairs:
        pixels.update(mask.pixels)
        part = parts.get(image.path, "")
        if part in occurrences:
            occurrences[part].update(mask.pixels.keys())
    whole = max(1, sum(pixels.values()))
    return [
        PixelShare(
            code,
            codes[code] if code < len(codes) else "",
            pixels[code],
            pixels[code] / whole,
            occurrences["train"][code],
            occurrences["valid"][code],
        )
        for code in sorted({*range(len(codes)), *pixels})
    ]


def orphaned_masks(masks: Iterable[Path], images: Iterable[Path], root: Path) -> list[Problem]:
    """Image files in the folders of the masks that are neither a mask nor an image of the data set."""
    known = set(masks)
    folders = sorted({mask.parent for mask in known})
    known.update(images)
    orphans = [path for folder in folders for path in _pictures(folder) if path not in known]
    if not orphans:
        return []
    count = "1 mask" if len(orphans) == 1 else f"{len(orphans):,} masks"
    names = listing([relative_name(path, root) for path in orphans], 3)
    return [
        Problem(
            "orphaned mask",
            "warning",
            f"{count} without an image: {names}. Add the image, or move the mask away.",
            tuple(orphans),
        )
    ]


def _pictures(folder: Path) -> list[Path]:
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".")
        )
    except OSError:  # no such folder: each of its masks is already said to be missing
        return []


def _mask_faults(image: ImageFacts, mask: MaskFacts, codes: Sequence[str], root: Path) -> Iterator[Problem]:
    name, owner = relative_name(mask.path, root), relative_name(image.path, root)
    if mask.fault is not None:
        kind = "missing mask" if mask.fault_kind == "missing file" else mask.fault_kind
        text = f"{name}: {mask.fault.rstrip('.')}. It is the mask of {owner}: correct it or remove both."
        yield Problem(kind, "error", text, (image.path,))
        return
    if image.fault is None and (mask.width, mask.height) != (image.width, image.height):
        text = (
            f"{name}: the mask is {mask.width}x{mask.height} pixels and its image {owner} "
            f"{image.width}x{image.height}. Correct the mask or remove both."
        )
        yield Problem("mask size", "error", text, (image.path,))
    if mask.highest >= len(codes):
        nameless = [str(code) for code in sorted(mask.pixels) if code >= len(codes)]
        text = (
            f"{name}: codes that codes.txt does not name ({listing(nameless)}); it names 0 to "
            f"{len(codes) - 1}. Correct the mask, or remove it with {owner}."
        )
        yield Problem("code without a name", "error", text, (image.path,))


def _all_void(
    pairs: Sequence[tuple[ImageFacts, MaskFacts]], codes: Sequence[str], root: Path
) -> Iterator[Problem]:
    void = void_index(codes)
    bare = [(image, mask) for image, mask in pairs if void is not None and set(mask.pixels) == {void}]
    if bare:
        names = listing([relative_name(mask.path, root) for _, mask in bare], 3)
        count = "1 mask" if len(bare) == 1 else f"{len(bare):,} masks"
        yield Problem(
            "all void",
            "warning",
            f"{count} of nothing but {codes[void or 0]}: {names}. Nothing can be learnt from them.",
            tuple(image.path for image, _ in bare),
        )


def _too_few(codes: Sequence[str]) -> Iterator[Problem]:
    if len(codes) - (void_index(codes) is not None) < 2:
        text = f"the codes are {listing(list(codes))}; a training needs two besides Void."
        yield Problem("too few codes", "error", text)


def _unused(shares: Sequence[PixelShare]) -> Iterator[Problem]:
    names = [share.name for share in shares]
    void = void_index(names)
    named = [share for share in shares if share.name and share.code != void]
    never = [share.name for share in named if not share.pixels]
    if never:
        yield Problem(
            "class never occurs",
            "warning",
            f"{_classes(len(never))} in no mask: {listing(never)}. They cannot be learnt or measured.",
        )
    unlearned = [share.name for share in named if share.valid and not share.train]
    if unlearned:
        yield Problem(
            "not in training",
            "warning",
            f"{_classes(len(unlearned))} only in masks for validation: {listing(unlearned)}. "
            "Split otherwise.",
        )


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count:,} classes"
