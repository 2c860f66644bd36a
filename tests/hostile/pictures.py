"""Image files of all kinds that visionkit may be given, drawn with Pillow: what the mutator begins with."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn(mode: str = "RGB", width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8) // 3
    pixels[: height // 2] += 90
    picture = Image.fromarray(pixels)
    if mode == "P":
        return picture.quantize(8)
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    if mode == "LA":
        return Image.merge("LA", (picture.convert("L"), picture.convert("L").rotate(90)))
    return picture.convert(mode)


def exif_of(mark: object = 6, **more: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = mark
    exif[0x010E] = str(more.get("description", "x" * 200))
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    exif.get_ifd(0x8769)[0x9286] = b"\0" * 80
    return exif


def png_header(width: int, height: int, depth: int = 8, colour: int = 2, body: bytes = b"") -> bytes:
    """A PNG file that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


@cache
def seeds() -> dict[str, bytes]:
    """Sound files, each by what is special about it."""
    moving = [drawn("P"), drawn("P").transpose(Image.Transpose.ROTATE_180), drawn("P")]
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 300, zip=True)
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    palette = drawn("P")
    several = {"save_all": True, "append_images": moving[1:]}
    return {
        "JPEG": encoded(drawn(), "JPEG"),
        "JPEG progressive": encoded(drawn(), "JPEG", progressive=True),
        "JPEG CMYK": encoded(drawn("CMYK"), "JPEG"),
        "JPEG grey": encoded(drawn("L"), "JPEG"),
        "JPEG turned": encoded(drawn(), "JPEG", exif=exif_of()),
        "JPEG odd mark": encoded(drawn(), "JPEG", exif=exif_of(77)),
        "MPO": encoded(drawn(), "MPO", save_all=True, append_images=[drawn()]),
        "PNG": encoded(drawn(), "PNG"),
        "PNG RGBA": encoded(drawn("RGBA"), "PNG"),
        "PNG palette": encoded(palette, "PNG", transparency=b"\0\x80\xff\0"),
        "PNG 1 bit": encoded(drawn("1"), "PNG"),
        "PNG LA": encoded(drawn("LA"), "PNG"),
        "PNG 16 bits": encoded(drawn("I;16"), "PNG"),
        "PNG text": encoded(drawn("L"), "PNG", pnginfo=text, exif=exif_of(8)),
        "PNG animated": encoded(drawn(), "PNG", save_all=True, append_images=[drawn(), drawn("RGBA")]),
        "GIF": encoded(drawn("P"), "GIF"),
        "GIF animated": encoded(moving[0], "GIF", **several),
        "WEBP": encoded(drawn(), "WEBP"),
        "WEBP lossless": encoded(drawn("RGBA"), "WEBP", lossless=True, exif=exif_of(3)),
        "WEBP animated": encoded(drawn(), "WEBP", save_all=True, append_images=[drawn().rotate(90)]),
        "BMP": encoded(drawn(), "BMP"),
        "BMP palette": encoded(drawn("P"), "BMP"),
        "BMP 1 bit": encoded(drawn("1"), "BMP"),
        "TIFF": encoded(drawn(), "TIFF", exif=exif_of(5)),
        "TIFF LZW": encoded(drawn(), "TIFF", compression="tiff_lzw"),
        "TIFF deflate": encoded(drawn("RGBA"), "TIFF", compression="tiff_adobe_deflate"),
        "TIFF fax": encoded(drawn("1"), "TIFF", compression="group4"),
        "TIFF JPEG": encoded(drawn(), "TIFF", compression="jpeg"),
        "TIFF CMYK": encoded(drawn("CMYK"), "TIFF"),
        "TIFF 16 bits": encoded(drawn("I;16"), "TIFF"),
        "TIFF 32 bits": encoded(drawn("I"), "TIFF"),
        "TIFF fractions": encoded(drawn("F"), "TIFF"),
        "TIFF pages": encoded(drawn(), "TIFF", save_all=True, append_images=[drawn("L")]),
        "PPM": encoded(drawn(), "PPM"),
        "long": encoded(Image.new("L", (100_000, 1)), "PNG"),
        "high": encoded(Image.new("1", (1, 60_000)), "TIFF", compression="group4"),
        "one pixel": encoded(Image.new("RGB", (1, 1)), "BMP"),
        "bomb": png_header(60_000, 60_000),
        "hollow": png_header(4_000, 4_000),
        "nothing": b"",
        "text": b"<html><title>404 Not Found</title></html>",
        "program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) show\n",
    }
