"""Changes of good files: what damage, carelessness and malice make of bytes and of JSON."""

from __future__ import annotations

import copy
import json
import struct
from random import Random
from typing import Any

NASTY_TEXTS = [
    "",
    " ",
    "\0",
    "\x1b]0;owned\x07\x1b[2J",
    "\r\n",
    "a\rb",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$\\frac{",
    "$$",
    "../../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "{{7*7}}",
    "%s%n",
    "__class__",
    "\u202egpj.exe",
    "\u05d0\u05d1",
    "\U0001f600",
    "\ufffe",
    "x" * 1000,
    "x" * 100_000,
    "nan",
    "null",
    "resnet18",
    "javascript:alert(1)",
    "![x](http://127.0.0.1/)",
    "\n\n# heading\n---\n",
    "'; DROP TABLE runs; --",
    "\u0000\ud7ff",
]
NASTY_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**62,
    2**63,
    -(2**63),
    10**30,
    1e308,
    -1e308,
    1e-320,
    float("nan"),
    float("inf"),
    0.5,
    [],
    {},
    [[]],
    [2**62, 2**62],
    [-1, -1],
    [0],
    {"__class__": "os.system"},
    {"": ""},
    [None] * 100,
]
_EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1]


def mutated_bytes(content: bytes, random: Random, most: int = 6) -> bytes:
    """`content` after one or more changes."""
    data = bytearray(content)
    for _ in range(random.randint(1, most)):
        place = random.randrange(len(data) + 1)
        kind = random.randrange(7)
        if kind == 0 and data:  # bits flip
            data[place % len(data)] ^= 1 << random.randrange(8)
        elif kind == 1 and random.random() < 0.5:  # it breaks off
            del data[place:]
        elif kind == 2:  # bytes are lost
            del data[place : place + random.choice([1, 2, 8, 100])]
        elif kind == 3:  # a part of it stands elsewhere
            start = random.randrange(len(data) + 1)
            data[place:place] = data[start : start + random.choice([1, 4, 64, 1000])]
        elif kind == 4:  # a length is edited
            width = random.choice([1, 2, 4, 8])
            number = random.choice(_EXTREMES) & ((1 << 8 * width) - 1)
            data[place : place + width] = number.to_bytes(width, random.choice(["little", "big"]))
        elif kind == 5:  # something else is put in
            data[place:place] = random.randbytes(random.choice([1, 3, 20]))
        else:  # a run of one byte
            size = random.choice([1, 4, 16])
            data[place : place + size] = bytes([random.choice([0, 0xFF, 0x20, 0x41])]) * size
    return bytes(data)


def mutated_json(content: Any, random: Random, most: int = 3) -> bytes:
    """The JSON text of `content` after one or more changes, some of which are of the text."""
    changed = copy.deepcopy(content)
    for _ in range(random.randint(1, most)):
        changed = _changed(changed, random)
    text = json.dumps(changed)
    kind = random.randrange(20)
    if kind == 0:
        text = "[" * 100_000 + text
    elif kind == 1:
        depth = random.choice([100, 5_000])
        text = (
            text[:-1] + f', "deep": {"[" * depth}{"]" * depth}}}'
            if text.endswith("}") and text != "{}"
            else text
        )
    elif kind == 2 and text.startswith('{"'):  # a key twice
        name = text[1 : text.index('"', 2) + 1]
        text = f"{{{name}: {json.dumps(random.choice(NASTY_VALUES))}, {text[1:]}"
    elif kind == 3:
        text = text.replace(": ", ": " + "9" * 5000 + ".", 1)
    elif kind == 4:
        return mutated_bytes(text.encode(), random)
    elif kind == 5:
        return random.choice(
            [b"", b"null", b"[]", b"\xff\xfe", b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16")]
        )
    return text.encode("utf-8", "surrogatepass")


def _changed(content: Any, random: Random) -> Any:
    """One change, somewhere in `content`."""
    way: list[Any] = []
    part = content
    while isinstance(part, dict | list) and part and (not way or random.random() < 0.75):
        way.append(random.choice(list(part)) if isinstance(part, dict) else random.randrange(len(part)))
        part = part[way[-1]]
    if not way:
        return nasty(random)
    within = content
    for step in way[:-1]:
        within = within[step]
    kind = random.randrange(5)
    if kind == 0:
        del within[way[-1]]
    elif kind == 1 and isinstance(within, dict):
        within[random.choice(NASTY_TEXTS)] = within.pop(way[-1])
    elif kind == 2 and isinstance(part, int | float) and not isinstance(part, bool):
        within[way[-1]] = random.choice([part + 1, -part, part * 10**6, float(part), str(part)])
    else:
        within[way[-1]] = nasty(random)
    return content


def nasty(random: Random) -> Any:
    return copy.deepcopy(random.choice(NASTY_VALUES if random.random() < 0.6 else NASTY_TEXTS))


def safetensors_of(header: bytes, rest: bytes) -> bytes:
    """A file of this header and these numbers."""
    return struct.pack("<Q", len(header)) + header + rest


def mutated_safetensors(content: bytes, random: Random) -> bytes:
    """The numbers, the header's entries, or its length changed."""
    kind = random.randrange(3)
    if kind == 0:
        return mutated_bytes(content, random)
    (size,) = struct.unpack("<Q", content[:8])
    header, rest = json.loads(content[8 : 8 + size]), content[8 + size :]
    if kind == 1:
        return safetensors_of(mutated_json(header, random), rest)
    name = random.choice([key for key in header if key != "__metadata__"])
    shape = random.choice([[2**62], [2**62, 2**62], [-1], [0], [], [2**31, 2**31], [1] * 1000])
    header[name] = {**header[name], "shape": shape}
    if random.random() < 0.5:
        offsets = random.choice([[0, 2**62], [2**63, 2**64], [5, 1], [-8, 8], [0, 0], [0, len(rest) * 1000]])
        header[name]["data_offsets"] = offsets
    if random.random() < 0.3:
        header[name]["dtype"] = random.choice(["I64", "F8_E4M3", "BOOL", "U64", "C64", "NONE", "F4"])
    return safetensors_of(json.dumps(header).encode(), rest)
