"""Image files: finding them, and telling whether they decode."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from visionkit.errors import DataError, listing

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


def image_files(folder: Path) -> list[Path]:
    """The image files in `folder`, by their endings, sorted by name; hidden ones are left out.

    Raises:
        DataError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder, and the data set keeps its images there.")
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".")
    )
    if not found:
        raise DataError(
            f"{folder}: no images in this folder (looked for {', '.join(sorted(IMAGE_ENDINGS))})."
        )
    return found


def decode_fault(path: Path) -> str | None:
    """Why the image at `path` does not decode, or None where it does.

    The whole file is read; JPEGs at an eighth of their size, which finds truncation all the same and is much
    faster.
    """
    try:
        with Image.open(path) as image:
            image.draft("RGB", (1, 1))
            image.load()
    except FileNotFoundError:
        return "there is no such file"
    except UnidentifiedImageError:
        return "empty file" if path.stat().st_size == 0 else "not an image"
    except Image.DecompressionBombError:
        return "more pixels than Pillow's safety limit"
    except (OSError, SyntaxError, ValueError) as error:
        return str(error) or type(error).__name__
    return None


def check_images(paths: Iterable[Path]) -> None:
    """Decode every image, in parallel.

    Raises:
        DataError: names those that do not decode, and why.
    """
    unique = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(cpu_count()) as pool:
        faults = [f"{path} ({fault})" for path, fault in zip(unique, pool.map(decode_fault, unique)) if fault]
    if faults:
        count = "an image does" if len(faults) == 1 else f"{len(faults):,} images do"
        raise DataError(f"{count} not decode: {listing(faults)}. Replace or remove them, with their labels.")
