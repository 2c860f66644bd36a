"""What a DataBlock opens its images and masks with, as far as the cache knows it."""

from __future__ import annotations

from hashlib import sha256
from inspect import getsource
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fastai.vision.core import PILImage, PILImageBW

from visionkit.data.mask_reader import MaskReader
from visionkit.data.masks import open_mask
from visionkit.data.upright_block import UprightImage
from visionkit.loading.items import Unknown

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class Opener(NamedTuple):
    """How images are opened.

    Args:
        mode: of Pillow.
        upright: whether EXIF marks turn them.
    """

    mode: Literal["RGB", "L"]
    upright: bool


def image_opener(block: DataBlock) -> Opener:
    """How `block` opens images.

    Raises:
        Unknown: by a function of its own.
    """
    functions = list(block.type_tfms[0])
    if len(functions) == 1:
        function = functions[0]
        upright = isinstance(function, UprightImage)
        kind: Any = function.kind if upright else getattr(function, "__self__", None)
        if not upright and getattr(function, "__name__", "") != "create":
            kind = None
        if kind is PILImage:
            return Opener("RGB", upright)
        if kind is PILImageBW:
            return Opener("L", upright)
    raise Unknown("the recipe opens images in a way of its own")


def mask_opener_key(block: DataBlock) -> str:
    """Tells how `block` opens masks from other ways.

    Raises:
        Unknown: it cannot be told.
    """
    return ", ".join(_key(function) for function in block.type_tfms[1])


def _key(function: Any) -> str:
    if isinstance(function, MaskReader):
        return function.key
    if function is open_mask:
        return "index masks"
    try:
        return sha256(getsource(function).encode()).hexdigest()[:16]
    except (TypeError, OSError):
        name = getattr(function, "__qualname__", None)
        if name is None:
            raise Unknown("the recipe opens masks in a way of its own") from None
        return str(name)
