"""Fastai's image blocks, so that photos are opened upright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastai.vision.core import PILBase, PILImage, Transform

from visionkit.data.upright import turned_upright

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


def upright_image(source: Any, kind: type[PILBase] = PILImage) -> PILBase:
    """What `kind.create` makes of a file, a picture or pixels, turned upright as its EXIF mark asks.

    Without a mark, or where EXIF data are damaged, the pixels are those of `kind.create`.
    """
    image = kind.create(source)
    turned = turned_upright(image)
    return image if turned is image else kind(turned)


class UprightImage(Transform):
    """Opens images as `kind.create` does, but upright: what a DataBlock has in the place of that.

    Args:
        kind: `PILImage`, or another of fastai's classes of images.
    """

    def __init__(self, kind: type[PILBase] = PILImage) -> None:
        super().__init__()
        self.kind = kind

    def encodes(self, source: Any) -> Any:
        return upright_image(source, self.kind)


def open_upright(block: DataBlock) -> None:
    """Let `block` open its images upright; where it opens them by a function of its own, that stays."""
    block.type_tfms[0] = type(block.type_tfms[0])(map(_upright, block.type_tfms[0]))


def opens_upright(transforms: Sequence[Any]) -> bool:
    """Whether one of these transforms, of a block or of its data set, opens images upright."""
    return any(isinstance(each, UprightImage) for each in transforms)


def _upright(function: Any) -> Any:
    kind: Any = getattr(function, "__self__", None)
    if isinstance(kind, type) and issubclass(kind, PILBase) and function.__name__ == "create":
        return UprightImage(kind)
    return function
