"""Whatever an archive holds, and wherever it is damaged: it is unpacked rightly or refused."""

from __future__ import annotations

import random
import re
import tarfile
import tempfile
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources.packing import Members, Pairs, Place, everything, packed, sevenzipped, special, tarred

from visionkit.errors import DataError
from visionkit.sources.archives import unpack

ENDINGS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "7z", "tar.7z"]
CHECKED = [ending for ending in ENDINGS if ending != "tar"]
"""Formats with a checksum of the members' contents."""


def folded(name: str) -> str:
    """Equal for names that are one on a disk that ignores case."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold()).lower()


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\:", exclude_categories=("Cs", "Cc", "Zl", "Zp")),
    min_size=1,
    max_size=12,
).filter(lambda name: name.strip(". ") == name)


def folders(inner: st.SearchStrategy[Any], least: int) -> st.SearchStrategy[dict[str, Any]]:
    members = st.tuples(NAMES, inner)
    return st.lists(members, min_size=least, max_size=4, unique_by=lambda pair: folded(pair[0])).map(dict)


def flattened(tree: dict[str, Any], above: str = "") -> Members:
    files: Members = {}
    for name, inner in tree.items():
        files |= flattened(inner, f"{above}{name}/") if isinstance(inner, dict) else {above + name: inner}
    return files


TREES = folders(st.recursive(st.binary(max_size=80), lambda inner: folders(inner, 1), max_leaves=6), 1).map(
    flattened
)


@pytest.mark.parametrize("ending", ENDINGS)
@given(members=TREES)
@settings(max_examples=25, deadline=None)
def test_any_tree_comes_out_as_it_went_in(ending: str, members: Members) -> None:
    with tempfile.TemporaryDirectory() as root:
        assert Place(Path(root), f"data.{ending}", packed(ending, members)).is_whole_or_refused(members)


ESCAPES = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ["/", "../", "a/../", "a/../../", "./../", "\\", "..\\", "a\\..\\..\\", "C:/", "c:", "//"]
    ),
    st.sampled_from(["", "x/", "./", "../"]),
    NAMES,
)
CONTROL = st.builds("{}{}{}".format, NAMES, st.sampled_from("\n\r\t\x1b\x07\x7f\x85\u2028\u2029"), NAMES)
LONG = st.one_of(
    NAMES.map(lambda name: (name * 256)[:256]), st.integers(101, 200).map(lambda depth: "d/" * depth + "x")
)


@st.composite
def hostile(draw: st.DrawFn) -> tuple[Pairs, str]:
    """Members of which one must not be written, and its name."""
    members = list(draw(TREES).items())
    if draw(st.booleans()):
        name = draw(st.one_of(ESCAPES, CONTROL, LONG))
    else:  # like a member, or like the folder of one
        other = draw(st.sampled_from(members))[0]
        alike = draw(st.sampled_from([other, f"./{other}", f"{other}/below", other.upper(), other + "."]))
        name = alike if folded(alike) in (folded(other), folded(other + "/below")) else f"{other}."
    members.insert(draw(st.integers(0, len(members))), (name, b"hostile"))
    return members, name


def is_refused(place: Place, name: str) -> None:
    with pytest.raises(DataError) as caught:
        unpack(place.archive, place.target)
    message = str(caught.value)
    assert str(place.archive) in message
    assert message.isprintable(), "what a name holds must not reach a terminal"
    first = re.split(r"[/\\]", name.removeprefix("./"))[0]  # py7zr takes a backslash for a slash
    beginning = repr(first)[1:-1][:10]
    assert "its member" in message and (beginning in message or folded(beginning) in folded(message))
    assert everything(place.root) == place.before


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "7z", "tar.7z"])
@given(case=hostile())
@settings(max_examples=30, deadline=None)
def test_a_member_with_a_hostile_name_is_refused_by_name(ending: str, case: tuple[Pairs, str]) -> None:
    members, name = case
    with tempfile.TemporaryDirectory() as root:
        is_refused(Place(Path(root), f"data.{ending}", packed(ending, members)), name)


@pytest.mark.parametrize("ending", ["tar", "tar.xz", "tar.7z"])
@given(
    members=TREES,
    kind=st.sampled_from(
        [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    ),
    aim=ESCAPES,
)
@settings(max_examples=20, deadline=None)
def test_links_out_of_the_folder_and_devices_are_refused(
    ending: str, members: Members, kind: bytes, aim: str
) -> None:
    odd = special(kind, "odd one", aim)
    content = tarred(members, ending.removeprefix("tar.") if ending == "tar.xz" else "", odd)
    content = sevenzipped({"data.tar": content}) if ending == "tar.7z" else content
    with tempfile.TemporaryDirectory() as root:
        is_refused(Place(Path(root), f"data.{ending}", content), "odd one")


@pytest.mark.parametrize("ending", ["zip", "tar", "7z"])
@given(name=st.text(st.sampled_from("./\\:aC \0~-"), min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_no_name_leads_out_of_the_folder(ending: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        try:
            content = packed(ending, {name: b"x", "b.jpg": b"y"})
        except Exception:  # a name that the packer does not take
            return
        place = Place(Path(root), f"data.{ending}", content)
        try:
            unpack(place.archive, place.target)
        except DataError:
            assert everything(place.root) == place.before
        else:
            inside = {f"some/where/target/{path}" for path in everything(place.target)}
            assert everything(place.root) == place.before | inside | {"some/where/target"}


WHOLE: Members = {
    "images/a.jpg": random.Random(1).randbytes(900),
    "images/b.png": b"",
    "images/größe/道路.png": b"c" * 3000,
    "labels.csv": b"image_name,tags\n" * 20,
    "z": b"z",
}


@cache
def whole(ending: str) -> bytes:
    inner = packed("zip", {"inner.txt": b"inner"})  # an archive in it must not be taken for all of it
    return packed(ending, WHOLE | {"z.zip": inner})


@st.composite
def positions(draw: st.DrawFn, ending: str) -> int:
    """Somewhere in the archive: as often near its beginning and its end as anywhere."""
    last = len(whole(ending)) - 1
    near = st.integers(0, min(last, 120))
    return draw(st.one_of(near, near.map(lambda back: last - back), st.integers(0, last)))


@pytest.mark.parametrize("ending", ENDINGS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_an_archive_that_breaks_off_is_whole_or_refused(ending: str, data: st.DataObject) -> None:
    cut = data.draw(positions(ending))
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root), f"data.{ending}", whole(ending)[:cut])
        place.is_whole_or_refused(WHOLE | {"z.zip": packed("zip", {"inner.txt": b"inner"})})


def overwritten(data: st.DataObject, ending: str) -> bytes:
    content, at = bytearray(whole(ending)), data.draw(positions(ending))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        block = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.integers(1, 600).map(bytes)))
        content[at : at + len(block)] = block[: len(content) - at]
    return bytes(content)


@pytest.mark.parametrize("ending", CHECKED)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_archive_is_whole_or_refused(ending: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root), f"data.{ending}", overwritten(data, ending))
        place.is_whole_or_refused(WHOLE | {"z.zip": packed("zip", {"inner.txt": b"inner"})})


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_plain_tar_is_unpacked_or_refused(data: st.DataObject) -> None:
    """A tar has no checksum of what its members hold, so that damage there cannot be noticed."""
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root), "data.tar", overwritten(data, "tar"))
        try:
            unpack(place.archive, place.target)
        except DataError:
            assert everything(place.root) == place.before
        else:
            assert len(everything(place.target)) >= len(WHOLE)


@pytest.mark.parametrize("ending", ENDINGS)
@given(
    start=st.sampled_from(
        [b"", b"PK\3\4", b"PK\5\6", b"7z\xbc\xaf\x27\x1c\0\4", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"]
    ),
    rest=st.binary(max_size=1200),
)
@settings(max_examples=25, deadline=None)
def test_what_is_no_archive_is_refused(ending: str, start: bytes, rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        Place(Path(root), f"data.{ending}", start + rest).refuses("cannot be unpacked")
