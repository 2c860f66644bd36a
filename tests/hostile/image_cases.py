"""One case: a spoilt image file, given to everything of visionkit's that opens images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from hostile.mutation import mutated
from hostile.pictures import seeds

from visionkit.cache.form import Form
from visionkit.cache.pictures import decode, kept_mask, kept_picture
from visionkit.checks.facts import look, look_at_mask
from visionkit.data import mask_codes
from visionkit.data.class_folders import class_folders
from visionkit.data.frames import frame_size
from visionkit.data.mask_reader import MaskReader
from visionkit.data.masks import read_mask, read_pixels
from visionkit.data.points import image_sizes
from visionkit.errors import VisionkitError
from visionkit.inference.photos import as_rgb, open_picture

ENDINGS = (".jpg", ".png", ".webp", ".gif", ".tif", ".bmp")
FORMS = (Form("crop", 24, 32, "RGB", upright=True), Form("pad", 16, 16, "L"), Form("squish", 20, 10, "RGB"))
READER = MaskReader(("a", "b"), {0: 0, 1: 1, 255: 1}, {0: 0, 0xFFFFFF: 1})


def image_case(seed: int, folder: Path) -> None:
    """Spoil a file by `seed`, and have it opened by all; raises where one of them does what it must not."""
    random = Random(seed)
    files = list(seeds().values())
    content = mutated(random.choice(files), [file for file in files if file], random)
    (folder / "class").mkdir(exist_ok=True)
    path = folder / "class" / f"x{random.choice(ENDINGS)}"
    path.write_bytes(content)
    try:
        give_to_all(path, random.choice(FORMS))
        assert class_folders(folder).labels == {path: "class"}
    finally:
        path.unlink()


def give_to_all(path: Path, form: Form) -> None:
    """Every way into visionkit ends in an answer or in one message, and they agree."""
    facts = look(path)
    assert (facts.fault is None) == (facts.fault_kind == "") and facts.path == path
    kept = answer_of(lambda: _kept(path, form), sound=facts.fault is None)
    photo = answer_of(lambda: open_picture(path, as_rgb))
    if facts.fault is None:
        assert kept is not None and facts.format
        assert photo is not None or max(facts.width, facts.height) > 200 * min(facts.width, facts.height)
    if photo is not None:
        assert photo.mode == "RGB" and photo.size[0] > 0
    mask = look_at_mask(path)
    codes = answer_of(lambda: read_mask(path))
    assert (mask.fault is None) == (codes is not None)
    if codes is not None:
        assert sum(mask.pixels.values()) == codes.size
        assert kept_mask(codes, form).size
    pixels = answer_of(lambda: read_pixels(path, palette_colours=False))
    assert bool(mask_codes.look(path).pixels) == (pixels is not None and pixels[0].size > 0)
    answer_of(lambda: READER.read(path))
    answer_of(lambda: mask_codes.meaning_of_masks(path.parent, [path], None, ()))
    sizes = answer_of(lambda: image_sizes([path]))
    if facts.fault is None:
        assert sizes == [(facts.width, facts.height)]
    assert frame_size([path], 60)[0] == 60


def _kept(path: Path, form: Form) -> Any:
    picture, size = decode(path, [form])
    return kept_picture(picture, form, size)


def answer_of(ask: Callable[[], Any], sound: bool = False) -> Any:
    """What `ask` gives; None where it refuses in a message of one line, which is wrong if all is `sound`."""
    try:
        return ask()
    except VisionkitError as error:
        if sound:
            raise
        check_message(error)
        return None


def check_message(error: VisionkitError) -> None:
    text = str(error)
    assert text.strip() and "\n" not in text and len(text) < 2_000, text
    assert error.exit_code in (1, 2)
