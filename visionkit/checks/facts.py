"""What one look at an image file or a mask tells: all that the findings need, so that none reads it again."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from errno import EMFILE, ENFILE
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import imagehash
import numpy as np
from PIL import Image, UnidentifiedImageError

from visionkit.data.masks import read_mask
from visionkit.data.opening import TooCostlyError, opened, opened_bytes
from visionkit.data.strips import row_slices
from visionkit.data.upright import TURNS, orientation
from visionkit.errors import DataError

HASH_SIDE = 32
DRAFT_SIDE = 64
FLATTEST = 1.0
LARGE = 1 << 28

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
PASSING = frozenset({"missing file", "unreadable file"})
"""Faults that may be gone at the next look, though the file stays the same: they are not remembered."""


@dataclass(frozen=True)
class ImageFacts:
    """What one look at an image file tells.

    Args:
        path: the file.
        bytes: its size.
        fault: why it cannot be used, for people; None where it decodes.
        fault_kind: "empty file", "not an image", "truncated", "damaged", "too large", "missing file" or
            "unreadable file"; empty where it decodes.
        digest: a hash of its bytes, 32 hexadecimal digits; empty where it cannot be read.
        format: Pillow's name of what the content is, such as "JPEG"; empty where nobody knows.
        width: in pixels, as stored.
        height: in pixels, as stored.
        mode: Pillow's name of what a pixel is, such as "RGB" or "CMYK".
        frames: more than one where it is animated or has pages.
        orientation: 1, or the EXIF orientation (2 to 8) that the stored pixels are still to be turned by.
        phash: perceptual hash of 64 bits; None where the picture is flat, for there it means nothing.
        dhash: difference hash of 64 bits; None where `phash` is None.
    """

    path: Path
    bytes: int = 0
    fault: str | None = None
    fault_kind: str = ""
    digest: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    frames: int = 1
    orientation: int = 1
    phash: int | None = None
    dhash: int | None = None


@dataclass(frozen=True)
class MaskFacts:
    """What one look at an index mask tells.

    Args:
        path: the file.
        fault: why it cannot be used, for people; None where it is an index mask.
        fault_kind: "missing file", "unreadable file" or "bad mask"; empty where there is no fault.
        width: in pixels.
        height: in pixels.
        pixels: how many pixels each code has; codes without a pixel are left out.
    """

    path: Path
    fault: str | None = None
    fault_kind: str = ""
    width: int = 0
    height: int = 0
    pixels: dict[int, int] = field(default_factory=dict)

    @property
    def highest(self) -> int:
        """The highest code, -1 without any."""
        return max(self.pixels, default=-1)


def look(path: Path) -> ImageFacts:
    """Read and decode the image file at `path` once; whatever it holds, nothing is raised.

    Raises:
        OSError: too many files are open.

    JPEGs are decoded at reduced scale, which reads all of their data and is much faster. Of an animation, the
    first frame is decoded, which is the one that trainings see.
    """
    size, fault = _regular(path)
    if fault:
        return ImageFacts(path, fault=fault[1], fault_kind=fault[0])
    known: dict[str, Any] = {"path": path, "bytes": size}
    try:
        with path.open("rb") as file:
            known["digest"], content = _read(file)
        if size == 0:
            return ImageFacts(fault="the file is empty", fault_kind="empty file", **known)
        with opened_bytes(content) if content is not None else opened(path) as image:
            _decode(image, known)
    except MemoryError:
        return ImageFacts(path, size, "there was not enough memory to decode it", "unreadable file")
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile content
        if isinstance(error, OSError) and error.errno in (EMFILE, ENFILE):
            raise  # no fault of the image
        kind, fault_text = _explained(error, path)
        known.update(fault=fault_text, fault_kind=kind)
    return ImageFacts(**known)


def look_at_mask(path: Path, read: Callable[[Path], np.ndarray] = read_mask) -> MaskFacts:
    """Have the mask at `path` read once, as a training does; whatever it holds, nothing is raised."""
    _, fault = _regular(path)
    if fault:
        return MaskFacts(path, fault=fault[1], fault_kind=fault[0])
    try:
        values = read(path)
    except DataError as error:
        passing = getattr(error.__cause__, "errno", None) is not None
        kind = "unreadable file" if passing else "bad mask"
        return MaskFacts(path, fault=str(error).removeprefix(f"{path}: "), fault_kind=kind)
    except MemoryError:
        return MaskFacts(path, fault="there was not enough memory to decode it", fault_kind="unreadable file")
    except Exception as error:  # as in `look`
        return MaskFacts(path, fault=f"the mask does not decode ({_said(error)}).", fault_kind="bad mask")
    counts = np.zeros(256, dtype=np.int64)
    for rows in row_slices(*values.shape):
        counts += np.bincount(values[rows].ravel(), minlength=256)
    pixels = {int(code): int(counts[code]) for code in np.flatnonzero(counts)}
    return MaskFacts(path, width=values.shape[1], height=values.shape[0], pixels=pixels)


def _regular(path: Path) -> tuple[int, tuple[str, str] | None]:
    """The size in bytes, and a fault where there is nothing that can be read; a pipe would block for ever."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, ("missing file", "there is no such file")
    except (OSError, ValueError) as error:
        return 0, ("unreadable file", _said(error))
    if not stat.S_ISREG(status.st_mode):
        return 0, ("unreadable file", "this is no regular file")
    return status.st_size, None


def _read(file: BinaryIO) -> tuple[str, bytes | None]:
    """The hash of the content, and the content itself; None where that is large."""
    digest = blake2b(digest_size=16)
    data = file.read(LARGE + 1)
    digest.update(data)
    if len(data) <= LARGE:
        return digest.hexdigest(), data
    while data := file.read(1 << 20):
        digest.update(data)
    return digest.hexdigest(), None


def _decode(image: Image.Image, known: dict[str, Any]) -> None:
    known.update(format=image.format or "", width=image.width, height=image.height, mode=image.mode)
    image.draft("L", (DRAFT_SIDE, DRAFT_SIDE))
    image.load()
    known["orientation"] = orientation(image)
    known["phash"], known["dhash"] = _guarded(lambda: _hashes(image, known["orientation"]), (None, None))
    known["frames"] = _guarded(lambda: _frames(image), 1)


def _frames(image: Image.Image) -> int:
    """How many there are; 2 where there are more than can be counted soon."""
    if not getattr(image, "is_animated", False):
        return 1
    return max(1, _guarded(lambda: int(getattr(image, "n_frames", 1)), 2))


def _hashes(image: Image.Image, mark: int) -> tuple[int | None, int | None]:
    """Perceptual hashes of the picture as people see it, turned upright."""
    if image.mode[0] in "IF":  # 16 bits and more: Pillow's conversion would cut at 255
        image = image.convert("I") if image.mode.startswith("I;") else image
        values = np.asarray(image.convert("F").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX))
        low, high = float(values.min()), float(values.max())
        if not high > low:
            return None, None
        small = Image.fromarray(((values - low) * (255 / (high - low))).astype(np.uint8))
    else:
        grey = image if image.mode == "L" else image.convert("RGB").convert("L")
        small = grey.resize((HASH_SIDE, HASH_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if np.asarray(small).std() < FLATTEST:
        return None, None
    if mark != 1:
        small = small.transpose(TURNS[mark])
    return _number(imagehash.phash(small)), _number(imagehash.dhash(small))


def _number(bits: imagehash.ImageHash) -> int:
    return int.from_bytes(np.packbits(bits.hash).tobytes(), "big")


def _guarded(read: Callable[[], Any], otherwise: Any) -> Any:
    """What `read` gives; `otherwise` where damaged extras of an image that decodes make it fail."""
    try:
        return read()
    except MemoryError:
        raise
    except Exception:
        return otherwise


def _explained(error: Exception, path: Path) -> tuple[str, str]:
    """A fault's kind and text."""
    if isinstance(error, OSError) and error.errno is not None:
        return "unreadable file", error.strerror or _said(error)
    if isinstance(error, TooCostlyError):
        return "too large", str(error)
    if isinstance(error, UnidentifiedImageError):
        claimed = _claimed_format(path)
        if claimed:
            return "damaged", f"it begins as {claimed} and is damaged or cut off"
        return "not an image", "this is not an image"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "too large", "it has more pixels than Pillow's safety limit"
    text = _said(error)
    cut_off = any(word in text.lower() for word in ("truncated", "unexpected end", "end of file"))
    return ("truncated" if cut_off else "damaged"), text


def _claimed_format(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            beginning = file.read(12)
    except OSError:
        return None
    if beginning.startswith(b"RIFF") and beginning.endswith(b"WEBP"):
        return "WEBP"
    return next((name for magic, name in _SIGNATURES.items() if beginning.startswith(magic)), None)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
