"""Files spoilt in the ways that matter: bits, lengths, ends, parts of other files. A seed repeats a case."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from random import Random

ODD_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
ODD_NUMBERS = (0, 1, 2, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 60_000, 100_000)
HEAD = 600
"""Bytes in which headers and their lengths stand."""


def mutated(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """`content` after one to six changes; `others` are what parts are taken from."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if not data:
            data.extend(random.randbytes(random.randint(1, 64)))
        random.choice(CHANGES)(data, others, random)
    if data.startswith(b"\x89PNG") and random.random() < 0.7:
        _correct_png_sums(data)
    return bytes(data)


def _flip_bits(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    for _ in range(random.choice((1, 1, 4, 16))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set_bytes(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    for _ in range(random.choice((1, 2, 8))):
        data[random.randrange(min(len(data), HEAD))] = random.choice(ODD_BYTES)


def _edit_length(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    """Write an odd number over what may be a length, a size, a count or an offset."""
    form = random.choice((">H", "<H", ">I", "<I"))
    place = random.randrange(min(len(data), HEAD))
    number = random.choice(ODD_NUMBERS) if random.random() < 0.7 else random.getrandbits(32)
    packed = struct.pack(form, number & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))
    data[place : place + len(packed)] = packed


def _truncate(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _cut_out(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    start = random.randrange(len(data))
    del data[start : start + random.choice((1, 2, 4, 16, 256))]


def _repeat(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    start = random.randrange(len(data))
    part = bytes(data[start : start + random.choice((1, 4, 12, 64, 512))])
    data[start:start] = part * random.choice((1, 2, 50))


def _splice(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    other = random.choice(others)
    data[random.randrange(len(data)) :] = other[random.randrange(len(other)) :]


def _insert_noise(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    place = random.randrange(len(data) + 1)
    data[place:place] = random.randbytes(random.choice((1, 3, 32, 300)))


CHANGES = (
    _flip_bits,
    _set_bytes,
    _edit_length,
    _edit_length,
    _truncate,
    _cut_out,
    _repeat,
    _splice,
    _insert_noise,
)


def _correct_png_sums(data: bytearray) -> None:
    """Give the chunks their checksums anew, so that decoders look at what is in them."""
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
