"""What shards may hold, and what is refused in one message."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shards.making import jpeg, labelled, tar_of

from visionkit.errors import DataError
from visionkit.shards.tars import MOST_LABEL, samples


def read(content: bytes) -> list[tuple[str, list[str], bool]]:
    return [(each.name, each.labels, each.tags) for each in samples(io.BytesIO(content), "a.tar")]


def test_labels_of_all_kinds() -> None:
    content = tar_of(
        {
            "./a.jpg": b"1",
            "./a.cls": b" 7\n",
            "deep/b.v2.x": b"",
            "deep/b.txt": b"cat",
            "deep/b.PNG": b"22",
            "c.json": b'{"tags": ["x", "y"]}',
            "c.webp": b"333",
            "d.jpeg": b"",
            "d.json": b'{"label": 3, "more": []}',
            "._d.jpeg": b"of macOS",
            "e.jpg": b"",
            "e.json": b'{"label": true}',
            "f.jpg": b"",
            "f.json": b'{"tags": [1, "\\u00e4"]}',
        }
    )
    found = read(content)
    assert found == [
        ("a.jpg", ["7"], False),
        ("deep/b.PNG", ["cat"], False),
        ("c.webp", ["x", "y"], True),
        ("d.jpeg", ["3"], False),
        ("e.jpg", ["True"], False),
        ("f.jpg", ["1", "ä"], True),
    ]
    third = list(samples(io.BytesIO(content), "a.tar"))[2]
    assert content[third.offset : third.offset + third.length] == b"333"


def linked(kind: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        about = tarfile.TarInfo("a.jpg")
        about.type, about.linkname = kind, "/etc/passwd"
        tar.addfile(about)
    return out.getvalue()


def giant(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    about = tarfile.TarInfo("a.jpg")
    about.size, about.type = size, kind
    return about.tobuf(tarfile.GNU_FORMAT) + b"x" * 2048


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar_of({"../../a.jpg": b"", "../../a.cls": b"0"}), "leads outside"),
        (tar_of({"/etc/a.jpg": b""}), "leads outside"),
        (linked(tarfile.SYMTYPE), "no plain file"),
        (linked(tarfile.LNKTYPE), "no plain file"),
        (linked(tarfile.CHRTYPE), "no plain file"),
        (linked(tarfile.FIFOTYPE), "no plain file"),
        (giant(10**15), "more than an image may"),
        (giant(10**6), "not a whole"),
        (giant(10**12, tarfile.XHDTYPE), "a header claims"),
        (giant(10**12, tarfile.GNUTYPE_LONGNAME), "a header claims"),
        (tar_of({"a.jpg": b"", "a.cls": b"0", "b.jpg": b"", "b.cls": b"", "a.png": b""}), "empty|twice"),
        (tar_of({**labelled(0, 2), "0000.txt": b"0"}), "twice"),
        (tar_of({"a.jpg": b"", "a.JPG": b""}), "twice"),
        (tar_of({"a.jpg": b"", "a.png": b"", "a.cls": b"0"}), "several images"),
        (tar_of({"a.cls": b"0"}), "no image"),
        (tar_of({"a.jpg": b""}), "no label"),
        (tar_of({"a.jpg": b"", "a.cls": b"\xff"}), "no label in UTF-8"),
        (tar_of({"a.jpg": b"", "a.json": b"[" * 100_000}), "too long"),
        (tar_of({"a.jpg": b"", "a.json": b"[" * 60_000}), "no label with"),
        (tar_of({"a.jpg": b"", "a.json": b"[1]"}), "no label with"),
        *(
            (tar_of({"a.jpg": b"", "a.json": content}), r"'a\.json' is no label with")
            for content in (
                *(b'{"tags": 5}', b'{"tags": "cat"}', b'{"tags": null}', b'{"tags": [["a"]]}'),
                *(b'{"tags": [true]}', b'{"tags": {"a": 1}}', b'{"label": null}', b'{"label": ["cat"]}'),
                *(
                    b'{"label": {}}',
                    b'{"label": 1.5}',
                    b"{}",
                    b'"tags"',
                    b'["label"]',
                    b'{"label": "x\\ud800"}',
                ),
            )
        ),
        (tar_of({"a.jpg": b"", "a.cls": b"x" * (MOST_LABEL + 1)}), "too long"),
        (b"", "not a whole"),
        (b"<html>no such page</html>", "not a whole"),
        (b"\x1f\x8b" + b"x" * 5000, "not a whole"),
    ],
)
def test_what_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        read(content)
    assert str(raised.value).startswith("a.tar: ") and "\n" not in str(raised.value)


@pytest.mark.parametrize("cut", [1, 511, 512, 700, 1024, 2048, 3000])
def test_a_shard_that_is_cut_off(cut: int) -> None:
    files = labelled(0, 3)
    whole = tar_of(files).rstrip(b"\0")
    assert len(read(tar_of(files))) == 3
    with pytest.raises(DataError, match="whole"):
        read(whole[: len(whole) // 512 * 512 - cut])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_one_message_or_none(data: st.DataObject) -> None:
    content = bytearray(tar_of(labelled(0, 2, 8)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = []
    with suppress(DataError):  # and nothing else
        found = list(samples(io.BytesIO(bytes(content)), "a.tar"))
    for sample in found:
        assert sample.offset >= 0 and sample.offset + sample.length <= len(content)
        assert ".." not in sample.name.split("/") and not sample.name.startswith("/")


def test_many_samples_take_no_memory_of_tarfile(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    step: Callable[[tarfile.TarFile], tarfile.TarInfo | None] = tarfile.TarFile.next

    def watched(self: tarfile.TarFile) -> tarfile.TarInfo | None:
        kept.append(len(self.members))
        return step(self)

    monkeypatch.setattr(tarfile.TarFile, "next", watched)
    picture = jpeg(0, 4)
    files = {
        f"{number}.{end}": picture if end == "jpg" else b"x" for number in range(50) for end in ("jpg", "cls")
    }
    assert len(read(tar_of(files))) == 50
    assert max(kept) <= 1
