"""What the values or colours of a folder's masks mean: told by a file, or found in the masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from os import cpu_count
from pathlib import Path
from typing import NamedTuple

from visionkit.data.class_maps import is_class_map, parse_colour, read_class_map
from visionkit.data.mask_reader import JPEG_ENDINGS, MaskReader, colour_name
from visionkit.data.masks import read_codes, read_pixels, void_index
from visionkit.data.opening import opened
from visionkit.data.strips import distinct
from visionkit.errors import DataError, UsageError, listing, nearest

VOID = "Void"
UNLABELLED = 255
"""The value that index masks give to pixels without a code, by custom."""
MOST_FOUND = 64
SAMPLE = 50


class MaskLook(NamedTuple):
    """What a mask holds: grey, palette or colour, and its values or its colours."""

    kind: str
    pixels: frozenset[int]


@dataclass(frozen=True)
class Meaning:
    """Names of codes, which of them each value and each colour of the masks has, and what says so."""

    names: list[str]
    values: dict[int, int]
    colours: dict[int, int] | None = None
    source: str = "the masks"
    ignored: list[str] = field(default_factory=list)

    def reader(self) -> MaskReader:
        return MaskReader(tuple(self.names), self.values, self.colours, self.source)


def meaning_of_masks(root: Path, masks: Sequence[Path], codes: Path | None, ignore: Iterable[str]) -> Meaning:
    """What the pixels of `masks` mean.

    Told by `codes`; without it by codes.txt or by a class map (a CSV file with name, r, g and b) in `root`;
    without those found: each value or colour that occurs is a code. 255 is nothing where the codes end
    below it. Codes that are left out become one, called Void, which loss and metrics leave out.

    Args:
        root: the data set's folder.
        masks: the masks' files.
        codes: codes.txt or a class map.
        ignore: names, values or colours (#rrggbb) of codes to leave out.

    Raises:
        UsageError: `ignore` names nothing that there is.
        DataError: the codes cannot be told.
    """
    if codes is None:
        codes = _codes_file(root, masks)
    if codes is None:
        meaning = _found(masks)
    elif codes.suffix.lower() == ".csv":
        names, colours = read_class_map(codes)
        meaning = Meaning(names, {index: index for index in range(len(names))}, colours, codes.name)
    else:
        names = read_codes(codes)
        meaning = Meaning(names, {index: index for index in range(len(names))}, None, codes.name)
    void = void_index(meaning.names)
    if void is not None:
        meaning = replace(meaning, ignored=[meaning.names[void]])
    if UNLABELLED not in meaning.values and any(
        look.kind != "colour" and UNLABELLED in look.pixels
        for look in _looks(_some(masks))
        if meaning.colours is None
    ):
        meaning = _ignoring(meaning, str(UNLABELLED))
    for entry in dict.fromkeys(ignore):
        meaning = _ignoring(meaning, entry)
    return meaning


def look(mask: Path) -> MaskLook:
    """What the file holds, remembered until it changes; nothing where it does not decode."""
    try:
        status = mask.stat()
        return _look(mask, status.st_mtime_ns, status.st_size)
    except (OSError, DataError):  # the check of all masks tells
        return MaskLook("grey", frozenset())


@lru_cache(maxsize=2**16)
def _look(mask: Path, modified: int, size: int) -> MaskLook:
    pixels, coloured = read_pixels(mask, palette_colours=False)
    with opened(mask) as image:
        kind = "colour" if coloured else "palette" if image.mode == "P" else "grey"
    return MaskLook(kind, frozenset(distinct(pixels, MOST_FOUND)[: MOST_FOUND + 1]))


def _looks(masks: Iterable[Path]) -> list[MaskLook]:
    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(look, masks))


def _some(masks: Sequence[Path]) -> list[Path]:
    """Up to `SAMPLE` of the masks, evenly spaced."""
    return [masks[place] for place in range(0, len(masks), max(1, -(-len(masks) // SAMPLE)))]


def _codes_file(root: Path, masks: Sequence[Path]) -> Path | None:
    """codes.txt or the class map in `root`; where both are there, the one that suits the masks."""
    maps = sorted(file for file in root.glob("*.csv") if is_class_map(file))
    if len(maps) > 1:
        names = listing([file.name for file in maps])
        raise DataError(f"{root}: there are several class maps, {names}. Name one with --codes.")
    listed = root / "codes.txt"
    if not listed.is_file():
        return maps[0] if maps else None
    if maps and any(each.kind != "grey" for each in _looks(_some(masks))):
        return maps[0]
    return listed


def _found(masks: Sequence[Path]) -> Meaning:
    """A code for each value or colour that occurs in the masks."""
    looks = _looks(masks)
    if not any(each.pixels for each in looks):
        read_pixels(masks[0], palette_colours=False)  # raises, and says why
    masks = [mask for mask, each in zip(masks, looks) if each.pixels]
    looks = [each for each in looks if each.pixels]
    coloured = [mask for mask, each in zip(masks, looks) if each.kind == "colour"]
    for mask, each in zip(masks, looks):
        if len(each.pixels) > MOST_FOUND:
            raise _too_many(mask, "colours" if each.kind == "colour" else "values")
    if coloured and len(coloured) < len(masks):
        grey = next(mask for mask, each in zip(masks, looks) if each.kind != "colour")
        # A mask of one grey, such as all black, belongs to those in colour if it is stored as they are.
        looks = [_in_colour(mask, each) for mask, each in zip(masks, looks)]
        if any(each.kind != "colour" for each in looks):
            raise DataError(
                f"{grey}: the mask holds values, and {coloured[0].name} holds colours. Name a class map "
                "with --codes, or save all masks in one way."
            )
    pixels = sorted(set().union(*(each.pixels for each in looks)))
    if len(pixels) > MOST_FOUND:
        noisy = next((mask for mask in masks if mask.suffix.lower() in JPEG_ENDINGS), None)
        what = "values or colours" if noisy is not None else "values or colours in all masks"
        raise _too_many(noisy or masks[0].parent, what)
    if coloured:
        return Meaning(list(map(colour_name, pixels)), {}, {colour: at for at, colour in enumerate(pixels)})
    if set(pixels) in ({0, 255}, {0, 1}):
        return Meaning(["background", "foreground"], {value: at for at, value in enumerate(pixels)})
    low = [value for value in pixels if value != UNLABELLED]
    if low and low[-1] < 2 * len(low):  # indices, of which some may not occur
        return Meaning([f"code {value}" for value in range(low[-1] + 1)], {v: v for v in range(low[-1] + 1)})
    return Meaning([f"value {value}" for value in pixels], {value: at for at, value in enumerate(pixels)})


def _too_many(place: Path, what: str) -> DataError:
    advice = "Masks that were JPEG once are noisy so; otherwise name codes.txt or a class map with --codes."
    if place.suffix.lower() in JPEG_ENDINGS:
        advice = "JPEG changes pixels: save masks as PNG."
    return DataError(f"{place}: more than {MOST_FOUND} {what}, which cannot all be codes. {advice}")


def _in_colour(mask: Path, seen: MaskLook) -> MaskLook:
    if seen.kind != "grey":
        return seen
    with opened(mask) as image:
        stored_in_colour = image.mode in ("RGB", "RGBA")
    if not stored_in_colour:
        return seen
    return MaskLook("colour", frozenset(value * 0x010101 for value in seen.pixels))


def _ignoring(meaning: Meaning, entry: str) -> Meaning:
    """`meaning` with the code that `entry` names left out: its pixels become Void."""
    names = meaning.names
    code = next((at for at, name in enumerate(names) if name.casefold() == entry.casefold()), None)
    value = int(entry) if len(entry) < 20 and entry.isdecimal() and int(entry) < 256 else None
    colour = parse_colour(entry)
    if code is None and value is not None and meaning.colours is None:
        code = meaning.values.get(value)
    if code is None and colour is not None and meaning.colours is not None:
        code = meaning.colours.get(colour)
    stray_value = code is None and value is not None
    stray_colour = code is None and colour is not None and meaning.colours is not None
    if code is None and not stray_value and not stray_colour:
        raise UsageError(
            f"--ignore {entry}: neither a code, nor a value, nor a colour such as #80ff00 of masks in colour."
            f"{nearest(entry, names)}"
        )
    void = void_index(names)
    ignored = [*meaning.ignored, names[code] if code is not None else entry]
    if code is not None and void is None:  # keeps its place
        return replace(
            meaning, names=[VOID if at == code else name for at, name in enumerate(names)], ignored=ignored
        )
    if void is None:
        names, void = [*names, VOID], len(names)
    values, colours = dict(meaning.values), dict(meaning.colours or {})
    if stray_value and value is not None:
        values[value] = void
    if stray_colour and colour is not None:
        colours[colour] = void
    merged = Meaning(names, values, None if meaning.colours is None else colours, meaning.source, ignored)
    return merged if code is None or code == void else _merged(merged, code, void)


def _merged(meaning: Meaning, code: int, void: int) -> Meaning:
    """`meaning` without `code`, whose pixels go to `void`; the codes behind it move up."""

    def place(old: int) -> int:
        new = void if old == code else old
        return new - (new > code)

    return replace(
        meaning,
        names=[name for at, name in enumerate(meaning.names) if at != code],
        values={value: place(old) for value, old in meaning.values.items()},
        colours=meaning.colours and {colour: place(old) for colour, old in meaning.colours.items()},
    )
