from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.shards.addresses import expand, is_shard_name, shards_at
from visionkit.sources.names import is_source_name, named_source
from visionkit.sources.web import WebArchive

Put = Callable[[str, bytes], str]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("s3://bucket/train-{000000..000146}.tar", True),
        ("gs://bucket/x.tar", True),
        ("memory://bucket/*.tar", True),
        ("https://host/train-{0..9}.tar", True),
        ("https://host/data.tar", False),
        ("shards:https://host/data.tar", True),
        ("photos/*.tar", True),
        ("photos", False),
        ("s3://bucket/photos", False),
        ("ftp://host/train-{0..9}.tar", False),
        ("fastai:PETS", False),
        ("kaggle:datasets/a/b", False),
    ],
)
def test_which_names_mean_shards(text: str, is_one: bool) -> None:
    assert is_shard_name(text) is is_one
    if is_one:
        assert is_source_name(text) and type(named_source(text)).__name__ == "ShardSource"


def test_a_single_web_archive_is_still_unpacked() -> None:
    assert isinstance(named_source("https://host/data.tar"), WebArchive)


def test_braces_keep_their_zeros_and_order() -> None:
    assert expand("s3://b/{train,val}-{08..10}.tar") == [
        f"s3://b/{part}-{number}.tar" for part in ("train", "val") for number in ("08", "09", "10")
    ]


def test_many_braces_within_braces() -> None:
    assert len(expand("s3://b/{train-{0..1200},val-{0..1200}}.tar")) == 2402


def test_stars_here_and_in_a_store(tmp_path: Path, put: Put) -> None:
    for name in ("b.tar", "a.tar", "c.txt"):
        (tmp_path / name).write_bytes(b"")
        put(f"deep/{name}", b"")
    assert expand(f"{tmp_path}/*.tar") == [str(tmp_path / "a.tar"), str(tmp_path / "b.tar")]
    assert [each.rpartition("/")[2] for each in expand("memory://bucket/**/*.tar")] == ["a.tar", "b.tar"]


def test_steps_and_letters() -> None:
    assert len(expand("s3://b/{0..9999999..1000000}-{a..e..2}{A..C}.tar")) == 10 * 3 * 3
    assert len(expand("s3://b/{a..z}{a..z}{a..z}.tar")) == 26**3


@pytest.mark.parametrize("name", ["a[1].tar", "a{1,2}.tar", "a*.tar", "{.tar"])
def test_a_file_that_is_there_is_no_pattern(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "a1.tar").write_bytes(b"")
    assert expand(f"{tmp_path}/{name}") == expand(f"shards:{tmp_path}/{name}") == [f"{tmp_path}/{name}"]


@pytest.mark.parametrize(
    "text",
    [
        "s3://b/{0..99999999999}.tar",
        "s3://b/{0..9999}{0..9999}.tar",
        "s3://b/" + "{a,b}" * 40 + ".tar",
        "s3://b/" + "{a..z}" * 5 + ".tar",
        "s3://b/" + "{z..a..2}" * 7 + ".tar",
        "s3://b/" + "{" * 1500 + "}" * 1500,
        "s3://b/{0..1.tar",
        "s3://b/{a,a}.tar",
        "nothing/*.tar",
        "strange://b/x*.tar",
    ],
)
def test_patterns_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError):
        expand(text)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(VisionkitError, match="pip install s3fs"):
        shards_at(["s3://bucket/x.tar"])


def test_a_shard_that_is_not_there(tmp_path: Path, put: Put) -> None:
    put("a.tar", b"")
    with pytest.raises(DataError, match=r"memory://bucket/b\.tar: there is no such file"):
        shards_at(["memory://bucket/a.tar", "memory://bucket/b.tar"])
    with pytest.raises(DataError, match="cannot be read"):
        shards_at([str(tmp_path / "none.tar")])


def test_names_are_paths_below_what_all_share(put: Put) -> None:
    addresses = [put(name, b"") for name in ("x/train/0.tar", "x/val/0.tar")]
    assert [shard.name for shard in shards_at(addresses)] == ["train/0.tar", "val/0.tar"]
    assert [shard.name for shard in shards_at(addresses[:1])] == ["0.tar"]
