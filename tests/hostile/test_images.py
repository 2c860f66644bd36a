"""Hostile image files: a message or an answer from all that opens images, in bounds of time and memory."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile.children import ask, run_cases
from hostile.image_cases import answer_of, give_to_all
from hostile.openers import FORM, OPENERS, given_to
from hostile.pictures import drawn, encoded, png_header, seeds
from PIL import Image

from visionkit.checks.facts import look
from visionkit.data import mask_codes, opening, strips
from visionkit.data.images import image_files
from visionkit.data.opening import TooCostlyError, opened, opened_bytes
from visionkit.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, about what is odd in the files


def written(folder: Path, content: bytes, name: str = "x.jpg") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("kind", seeds())
def test_every_kind_of_image_is_read_alike_by_all(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, seeds()[kind])
    give_to_all(path, FORM)
    faults = {"nothing": "empty file", "text": "not an image", "program": "not an image", "bomb": "too large"}
    assert look(path).fault_kind == {**faults, "hollow": "truncated"}.get(kind, "")


@pytest.mark.parametrize(
    "kind", ["JPEG", "JPEG progressive", "PNG", "GIF animated", "WEBP", "TIFF LZW", "BMP"]
)
def test_files_that_end_too_soon_are_refused_wherever_they_end(kind: str, tmp_path: Path) -> None:
    content = seeds()[kind]
    ends = sorted({round(len(content) * part / 24) for part in range(24)} | {1, 2, 3, 4, 8, 12, 20})
    for end in ends:
        give_to_all(written(tmp_path, content[:end]), FORM)


def test_short_program() -> None:
    assert "150 cases of images" in run_cases("images", 0, 150)


def test_what_is_no_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "broken.jpg").symlink_to("gone")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    (tmp_path / "endless.jpg").symlink_to("pipe.jpg")
    for name in os.listdir(tmp_path):
        for opener in ("cache", "predict", "colours"):
            assert given_to(opener, tmp_path / name) != "answer"
        assert look(tmp_path / name).fault_kind in ("unreadable file", "missing file")
    assert {file.name for file in image_files(tmp_path)} == {"broken.jpg", "circle.jpg"}


@pytest.mark.parametrize("opener", OPENERS)
def test_no_program_is_run_on_a_file(opener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands EPS to Ghostscript, also where it is hidden in an IPTC record."""
    mark = tmp_path / "ran"
    tool = written(tmp_path, f"#!/bin/sh\ntouch {mark}\necho 10.0\n".encode(), "gs")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program = seeds()["program"]

    def field(record: int, number: int, data: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data

    fields = [(3, 60, b"\1\0"), (3, 20, b"\0\x20"), (3, 30, b"\0\x20"), (3, 65, b"\0"), (3, 120, b"\0\5")]
    hidden = b"".join(field(*each) for each in [*fields, (8, 10, program)])
    for content in (program, hidden):
        answer = given_to(opener, written(tmp_path, content, "x.png"))
        assert opener in ("check", "mask", "codes") or answer != "answer"
    assert not mark.exists()


def many_scans(side: int, scans: int) -> bytes:
    content = encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + last * scans + b"\xff\xd9"


def png_of_chunks(count: int) -> bytes:
    content = encoded(Image.new("L", (8, 8)), "PNG")
    chunk = struct.pack(">I", 0) + b"prVt" + struct.pack(">I", zlib.crc32(b"prVt"))
    return content[:33] + chunk * count + content[33:]


def junk_in_head(length: int) -> bytes:
    content = encoded(Image.new("L", (8, 8)), "JPEG")
    return content[:2] + b"\xff\xe2\0\2" + b"\0" * length + content[2:]


def test_files_that_take_long_to_decode_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MOST_READS", 1_000)
    monkeypatch.setattr(opening, "MOST_SCANNED", 8_000_000)
    for content in (many_scans(256, 200), png_of_chunks(2_000), junk_in_head(5_000)):
        path = written(tmp_path, content)
        assert look(path).fault_kind == "too large"
        for opener in ("cache", "predict"):
            assert "too many" in given_to(opener, path)
    for content in (many_scans(256, 20), png_of_chunks(20), junk_in_head(50)):
        assert look(written(tmp_path, content)).fault is None


def test_a_file_that_claims_a_long_part_gets_no_room_for_it(tmp_path: Path) -> None:
    content = bytearray(encoded(drawn(), "PNG"))
    place = content.rfind(b"IDAT") - 4
    struct.pack_into(">I", content, place, 0xFFFFFFF0)
    path = written(tmp_path, bytes(content), "x.png")
    assert "MemoryError" not in ask("print(given_to('cache', path))", str(path))


def test_tiles_larger_than_the_image_are_refused(tmp_path: Path) -> None:
    def entry(tag: int, kind: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, 1, value)

    tags = [(256, 4, 10), (257, 4, 10), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    tags += [(322, 4, 40_000), (323, 4, 40_000), (324, 4, 200), (325, 4, 60)]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + b"".join(entry(*tag) for tag in tags) + bytes(4)
    content = head.ljust(200, b"\0") + zlib.compress(bytes(40_000))
    path = written(tmp_path, content, "x.tif")
    assert "40000x40000" in str(look(path).fault)
    with pytest.raises(TooCostlyError), opened(path):
        pass


def test_formats_whose_decoders_take_much_memory_have_limits(tmp_path: Path) -> None:
    """34 bytes of WebP hold 177 million pixels, for which its decoder takes 4 GB."""
    content = bytes.fromhex("524946461a000000574542505650384c0d0000002ff333fd0c0007d0ffbf01 00")
    with pytest.raises((TooCostlyError, OSError)), opened_bytes(content) as image:
        image.load()
    for kind in ("WEBP", "JPEG2000", "AVIF"):
        assert opening.MOST_PIXELS[kind] <= 100_000_000


def test_large_pictures_are_changed_in_strips_as_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = ("RGB", "RGBA", "LA", "L", "1", "P", "I;16", "I", "F", "CMYK")
    kinds = {
        mode: "TIFF" if mode in "CMYKIF" and len(mode) in (1, 4) and mode not in "LP1" else "PNG"
        for mode in modes
    }
    files = [
        written(tmp_path, encoded(drawn(mode), kind), f"{mode[0]}{len(mode)}.x")
        for mode, kind in kinds.items()
    ]
    files.append(written(tmp_path, seeds()["PNG palette"], "clear.png"))

    def answers() -> dict[str, object]:
        found: dict[str, object] = {}
        for file in files:
            for opener in ("predict", "colours", "codes", "mask"):
                try:
                    made = OPENERS[opener](file)
                except DataError as error:
                    made = str(error)
                if isinstance(made, mask_codes.MaskLook) and len(made.pixels) > mask_codes.MOST_FOUND:
                    made = made.kind  # too many: which of them were seen does not matter
                found[f"{opener} {file.name}"] = (
                    np.asarray(made).tolist() if opener == "predict" else str(made)
                )
        return found

    whole = answers()
    mask_codes._look.cache_clear()
    monkeypatch.setattr(strips, "STRIP", 170)
    in_strips = answers()
    assert [name for name in whole if whole[name] != in_strips[name]] == []


def test_damaged_exif_data_turn_nothing(tmp_path: Path) -> None:
    content = bytearray(seeds()["JPEG turned"])
    start = content.find(b"Exif\0\0") + 6
    sizes = set()
    for place in range(start, start + 60):
        for value in (0x00, 0xFF):
            spoilt = bytearray(content)
            spoilt[place] = value
            path = written(tmp_path, bytes(spoilt))
            give_to_all(path, FORM)
            photo = answer_of(lambda path=path: OPENERS["predict"](path))
            sizes.add(photo.size if photo is not None else None)
    assert sizes <= {(40, 30), (30, 40)}


@pytest.mark.slow
@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    "kind", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "F", "I", "CMYK", "progressive"]
)
def test_the_largest_images_stay_within_2_gb_and_10_s(kind: str, opener: str, tmp_path: Path) -> None:
    """Every file is of 177 million pixels, just below Pillow's limit, and of a few kilobytes."""
    side = 13_300
    if kind == "progressive":
        content = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True, subsampling=0)
    elif kind in ("F", "I", "CMYK"):
        content = encoded(Image.new(kind, (side, side)), "TIFF", compression="tiff_adobe_deflate")
    else:
        content = encoded(Image.new(kind, (side, side)), "PNG", exif=Image.Exif())
    path = written(tmp_path, content)
    del content
    told = ask(f"print(given_to({opener!r}, path), getrusage(RUSAGE_SELF).ru_maxrss)", str(path))
    assert "memory" not in told.lower()


@pytest.mark.slow
def test_slow_files_stay_within_10_s(tmp_path: Path) -> None:
    for content in (
        many_scans(2_000, 3_000),
        many_scans(64, 100_000),
        png_of_chunks(3_000_000),
        junk_in_head(10**8),
    ):
        path = written(tmp_path, content)
        for opener in OPENERS:
            ask(f"print(given_to({opener!r}, path))", str(path))


def test_png_headers_of_any_size_are_refused_or_read(tmp_path: Path) -> None:
    for width, height in (
        (0, 5),
        (5, 0),
        (2**31 - 1, 1),
        (1, 2**31 - 1),
        (60_000, 60_000),
        (2**32 - 1, 2**32 - 1),
    ):
        for depth, colour in ((1, 0), (8, 2), (16, 6), (8, 3), (3, 2), (8, 9)):
            path = written(tmp_path, png_header(width, height, depth, colour, bytes(60)))
            give_to_all(path, FORM)
            assert look(path).fault is not None


def test_pictures_in_memory_are_counted_too() -> None:
    with opened_bytes(seeds()["PNG"]) as image:
        assert image.size == (40, 30)
    with pytest.raises(opening.ProgramError, match="EPS"), opened_bytes(seeds()["program"]):
        pass
