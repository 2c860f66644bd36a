"""The animals of the pets sample: eight invented breeds, told apart by build, ears, muzzle and coat.

Colours say nothing about the breed: `pets.py` draws them from one distribution for all.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from visionkit.sources.samples.painting import Outline, Placement, coverage, ellipse, polygon, ribbon
from visionkit.sources.samples.textures import Pixels, smooth_noise

Coat = Literal["stripes", "spots", "patches", "plain"]
Ears = Literal["tall", "pointed", "round", "floppy"]


@dataclass(frozen=True)
class Breed:
    """What every animal of a breed has in common."""

    name: str
    build: Literal["sitting", "standing"]
    ears: Ears
    coat: Coat
    girth: float  # of the body, relative to the common build
    muzzle: float  # its length, relative to the head


BREEDS = (
    Breed("Plain_Tuftear", "sitting", "pointed", "plain", girth=0.9, muzzle=0.4),
    Breed("Patchwork_Roundear", "sitting", "round", "patches", girth=1.2, muzzle=0.5),
    Breed("Spotted_Bobtail", "sitting", "pointed", "spots", girth=1.0, muzzle=0.4),
    Breed("Striped_Longear", "sitting", "tall", "stripes", girth=0.8, muzzle=0.3),
    Breed("banded_hound", "standing", "floppy", "stripes", girth=0.8, muzzle=1.2),
    Breed("marbled_spaniel", "standing", "floppy", "patches", girth=1.1, muzzle=0.9),
    Breed("round_mastiff", "standing", "round", "plain", girth=1.4, muzzle=0.6),
    Breed("spotted_terrier", "standing", "pointed", "spots", girth=1.0, muzzle=0.9),
)


@dataclass(frozen=True)
class Part:
    """Outlines that are painted together, over the parts before them."""

    outlines: tuple[Outline, ...]
    tone: float = 1.0  # brightness relative to the coat
    rounded: bool = True  # darker towards the edge


def anatomy(rng: np.random.Generator, breed: Breed) -> list[Part]:
    """The parts of one animal from back to front, around (0, 0) and about 1 in size.

    Args:
        rng: Source of the pose.
        breed: What the animal is.
    """
    return _sitting(rng, breed) if breed.build == "sitting" else _standing(rng, breed)


def _sitting(rng: np.random.Generator, breed: Breed) -> list[Part]:
    broad = 0.27 * breed.girth
    lean, lift = rng.uniform(-0.08, 0.08), rng.uniform(-0.04, 0.04)
    bend = np.linspace(0, 1, 12)
    curl = rng.uniform(0.5, 1.3)
    tail = np.stack([broad * 0.7 + 0.3 * np.sin(bend * 2.4 * curl), 0.42 - 0.5 * bend * curl], axis=1)
    length = 0.35 if breed.name.endswith("Bobtail") else 1.0
    body = ellipse(0, 0.17, broad, 0.36)
    haunches = ellipse(0, 0.36, broad * 1.25, 0.18)
    paws = [ellipse(side * broad * 0.42, 0.42, 0.075, 0.17) for side in (-1, 1)]
    head_x, head_y = lean, -0.24 + lift
    return [
        Part((ribbon(tail[: max(4, int(12 * length))], 0.05),), tone=0.9),
        Part((body, haunches)),
        Part((paws[0], paws[1]), tone=1.08),
        *_ears(breed.ears, head_x, head_y, 0.215),
        *_face(head_x, head_y, breed.muzzle),
    ]


def _face(x: float, y: float, muzzle: float) -> list[Part]:
    eyes = [ellipse(x + side * 0.085, y - 0.03, 0.034, 0.042) for side in (-1, 1)]
    pupils = [ellipse(x + side * 0.085, y - 0.03, 0.014, 0.036) for side in (-1, 1)]
    nose = polygon((x - 0.032, y + 0.065), (x + 0.032, y + 0.065), (x, y + 0.1))
    return [
        Part((ellipse(x, y, 0.215, 0.185),)),
        Part((ellipse(x, y + 0.09, 0.07 + 0.05 * muzzle, 0.06),), tone=1.15),
        Part((eyes[0], eyes[1]), tone=1.5, rounded=False),
        Part((pupils[0], pupils[1], nose), tone=0.12, rounded=False),
    ]


def _standing(rng: np.random.Generator, breed: Breed) -> list[Part]:
    deep = 0.155 * breed.girth
    stride, nod = rng.uniform(-0.07, 0.07), rng.uniform(-0.08, 0.06)
    legs = 0.36 / math.sqrt(breed.girth)
    hips, shoulders = -0.38, 0.18
    far = [ribbon(polygon((x, 0.05), (x - stride, legs)), 0.045) for x in (hips + 0.09, shoulders - 0.08)]
    near = [ribbon(polygon((x, 0.05), (x + stride, legs + 0.03)), 0.052) for x in (hips, shoulders)]
    wag = rng.uniform(0.1, 0.35)
    tail = ribbon(polygon((hips - 0.02, -0.06), (hips - 0.11, -0.12), (hips - 0.16, -0.12 - wag)), 0.034)
    head_x, head_y = 0.32, -0.27 + nod
    neck = polygon((0.04, -0.08), (head_x - 0.12, head_y), (head_x + 0.07, head_y + 0.08), (0.25, 0.1))
    reach = 0.1 + 0.1 * breed.muzzle
    snout = ellipse(head_x + reach, head_y + 0.05, reach * 0.95, 0.062)
    ears = _ears(breed.ears, head_x - 0.04, head_y, 0.15, sideways=True)
    head = [Part((ellipse(head_x, head_y, 0.145, 0.13),)), Part((snout,), tone=1.08)]
    eye = ellipse(head_x + 0.06, head_y - 0.03, 0.024, 0.024)
    nose = ellipse(head_x + 2 * reach * 0.93, head_y + 0.03, 0.032, 0.028)
    # Hanging ears lie over the head, the others stand up behind it.
    behind, over = (head, ears) if breed.ears == "floppy" else (ears, head)
    return [
        Part((far[0], far[1]), tone=0.75),
        Part((tail,), tone=0.9),
        Part((ellipse(-0.11, 0.0, 0.37, deep),)),
        Part((near[0], near[1])),
        Part((neck,)),
        *behind,
        *over,
        Part((eye, nose), tone=0.12, rounded=False),
    ]


def _ears(kind: Ears, x: float, y: float, size: float, sideways: bool = False) -> list[Part]:
    apart = (-0.35, 0.45) if sideways else (-0.7, 0.7)
    middles = [x + size * at for at in apart]
    top = y - 0.55 * size
    if kind == "round":
        return [Part(tuple(ellipse(at * 1.04, top - 0.2 * size, 0.42 * size, 0.42 * size) for at in middles))]
    if kind == "floppy":
        return [Part((ellipse(x - 0.3 * size, y + 0.5 * size, 0.36 * size, 0.95 * size, 0.2),), tone=0.72)]
    height, half = (2.0, 0.3) if kind == "tall" else (1.05, 0.44)
    outer = [_triangle(at, top, half * size, height * size, (at - x) * 0.4) for at in middles]
    inner = [_triangle(at, top, half * size * 0.5, height * size * 0.75, (at - x) * 0.4) for at in middles]
    return [Part(tuple(outer)), Part(tuple(inner), tone=0.65)]


def _triangle(x: float, base: float, half: float, height: float, lean: float) -> Outline:
    return polygon((x - half, base + 0.3 * half), (x + lean, base - height), (x + half, base + 0.3 * half))


def markings(rng: np.random.Generator, breed: Breed, right: Pixels, down: Pixels) -> Pixels:
    """The coat's pattern between about -1 and 1, in the animal's own coordinates.

    Args:
        rng: Source of the irregularities.
        breed: What the animal is.
        right: First coordinate of every pixel.
        down: Second coordinate of every pixel.
    """
    height, width = right.shape
    longest = max(height, width)
    warp = smooth_noise(rng, height, width, longest / 7)
    phase = rng.uniform(0, 2 * math.pi, 2)
    if breed.coat == "stripes":
        # Bars run around the body: across an upright one, down a level one.
        along = down if breed.build == "sitting" else right
        bars = np.sin(2 * math.pi * rng.uniform(7.5, 9.0) * along + 1.1 * warp + phase[0])
        return np.asarray(np.tanh(3 * bars), dtype=np.float32)
    if breed.coat == "spots":
        turn = 2 * math.pi * rng.uniform(5.0, 6.0)
        rising = np.cos(turn * (right + down) + warp + phase[0])
        falling = np.cos(turn * (right - down) - warp + phase[1])
        return np.asarray(np.tanh(5 * (rising * falling - 0.35)), dtype=np.float32)
    if breed.coat == "patches":
        cells = smooth_noise(rng, height, width, longest / 9) + 0.35 * warp
        return np.asarray(np.tanh(12 * cells), dtype=np.float32)
    return np.zeros_like(right)


def shade(parts: list[Part], placement: Placement, height: int, width: int) -> tuple[Pixels, Pixels]:
    """Where the animal is, and how bright it is there.

    Args:
        parts: Its parts, from back to front.
        placement: Where it stands.
        height: Rows of the photo.
        width: Columns of the photo.

    Returns:
        Opacity of the animal from 0 to 1, and a factor for the coat's colour.
    """
    cover = np.zeros((height, width), dtype=np.float32)
    light = np.ones((height, width), dtype=np.float32)
    for part in parts:
        inside = coverage((placement.place(outline) for outline in part.outlines), height, width)
        tone: Pixels | float = part.tone
        if part.rounded:
            blurred = Image.fromarray((inside * 255).astype(np.uint8))
            blurred = blurred.filter(ImageFilter.BoxBlur(max(1.0, 0.035 * placement.scale)))
            tone = np.float32(part.tone) * (
                0.45 + np.asarray(blurred, dtype=np.float32) * np.float32(0.55 / 255)
            )
        light += inside * (tone - light)
        np.maximum(cover, inside, out=cover)
    return cover, light
