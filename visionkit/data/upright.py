"""Which way up a photo is to be seen: cameras store it as the sensor lay, with a mark in its EXIF data.

Images of labels and tags are turned by it wherever visionkit reads them. Those of masks and points are not:
masks and points belong to the pixels as they are stored.
"""

from __future__ import annotations

from PIL import ExifTags, Image

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns pixels of each EXIF orientation upright; from 5 on, width and height change places."""
QUARTER_TURNS = (5, 6, 7, 8)
"""Those that exchange width and height."""
UPRIGHT_TASKS = ("single-label", "multi-label")
"""Tasks whose images are turned."""
_HOLDERS = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
"""Where Pillow keeps the mark of a picture in memory."""


def orientation(image: Image.Image) -> int:
    """How the pixels of `image` are stored: 1 as they are to be seen, or an EXIF orientation from 2 to 8.

    Damaged EXIF data of a picture that decodes count as none. Some formats tell of the mark only after
    `image.load()`.
    """
    try:
        mark = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(mark) if mark in TURNS else 1
    except Exception:  # Pillow raises nearly anything on hostile EXIF data
        return 1


def turned_upright(image: Image.Image, release: bool = False) -> Image.Image:
    """`image` turned or mirrored as its EXIF mark asks, without the mark; the same object where it has none.

    Pillow's `exif_transpose` copies every picture, and fails where other EXIF data than the mark are damaged.

    Args:
        image: the picture as stored.
        release: close it where it is turned, so that two large ones are not in memory longer than needed.
    """
    mark = orientation(image)
    if mark == 1:
        return image
    turned = image.transpose(TURNS[mark])
    if release:
        image.close()
    for holder in _HOLDERS:  # else it would be turned once more by whatever reads it next
        turned.info.pop(holder, None)
    return turned
