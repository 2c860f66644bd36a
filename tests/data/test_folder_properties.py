"""Generated folder trees: exactly the images that were put there are found, or the folder is refused."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.checks.scan import scan_images
from visionkit.checks.training import refuse_undecodable
from visionkit.data.images import IMAGE_ENDINGS, image_files
from visionkit.data.problems import gathering, skipping
from visionkit.data.tags import read_tags
from visionkit.errors import DataError
from visionkit.progress import Silence

# What an entry is on disk, and whether an image's name makes it an image.
FILES = {"file": True, "link to file": True, "dangling link": True, "loop": True}
OTHERS = {"folder": False, "link to folder": False, "pipe": False, "link to pipe": False}
KINDS = FILES | OTHERS

LETTERS = st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs",))
STEMS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=10),
    st.sampled_from(
        ["a", "0012", "é", "e\u0301", "Å", "\u212b", "한글", "👩‍🚀", "שלום", "\u202eabc", "a b", " "]
    ),
    st.sampled_from(
        ["ü" * 120, "x" * 250, "a\nb", "a\tb", ".hidden", "..", "._a", "a.", "a.jpg", "-rf", "~", "\\"]
    ),
)
ENDINGS = st.sampled_from([*sorted(IMAGE_ENDINGS), ".JPG", ".Png", ".txt", "", ".jpg~", ".jpg.part", ".jpgx"])
NAMES = st.builds(str.__add__, STEMS, ENDINGS).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 255
)
FOLDERS = st.sampled_from(
    ["", "", "day", "night/cold", ".git", "day/x.jpg", "Ä ö/👩‍🚀", "d" * 255, "day/.cache/a"]
)
TREES = st.dictionaries(st.tuples(FOLDERS, NAMES), st.sampled_from([*KINDS, "file", "file"]), max_size=10)


@contextmanager
def grown(tree: dict[tuple[str, str], str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """The tree on disk, and which names in it are what; one that a folder of the tree has stays a folder."""
    with tempfile.TemporaryDirectory() as work:
        root, other = Path(work) / "images", Path(work) / "elsewhere"
        (other / "inside.jpg").mkdir(parents=True)
        (other / "file").touch()
        (other / "more.jpg").touch()
        os.mkfifo(other / "pipe")
        entries: dict[str, str] = {}
        root.mkdir()
        for place, _ in tree:
            (root / place).mkdir(parents=True, exist_ok=True)
        for (place, name), kind in tree.items():
            path = root / place / name
            if path.is_dir():
                continue
            if kind == "file":
                path.touch()
            elif kind == "folder":
                path.mkdir()
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                targets = {
                    "link to file": other / "file",
                    "link to folder": other,
                    "link to pipe": other / "pipe",
                }
                path.symlink_to(targets.get(kind, path if kind == "loop" else other / "nowhere"))
            entries[path.relative_to(root).as_posix()] = kind
        yield root, entries


def images_in(entries: dict[str, str], recursive: bool) -> list[str]:
    """What is to be found, by the names alone."""
    return sorted(
        name
        for name, kind in entries.items()
        if KINDS[kind]
        and not any(part.startswith(".") for part in name.split("/"))
        and name.lower().endswith(tuple(IMAGE_ENDINGS))
        and (recursive or "/" not in name)
    )


@given(tree=TREES, recursive=st.booleans())
@settings(max_examples=250, deadline=None)
def test_exactly_the_images_are_found(tree: dict[tuple[str, str], str], recursive: bool) -> None:
    with grown(tree) as (root, entries):
        names = images_in(entries, recursive)
        if not names:
            with pytest.raises(DataError, match="no images in this folder"):
                image_files(root, recursive)
            return
        files = image_files(root, recursive)
        assert files == [root / name for name in names]
        broken = [name for name in names if entries[name] in ("dangling link", "loop")]
        if broken:
            with pytest.raises(DataError) as caught:
                refuse_undecodable(scan_images([root / name for name in broken], None, Silence()))
            assert str(root / broken[0]) in str(caught.value)
        with skipping(frozenset(files[1:])):
            assert image_files(root, recursive) == files[:1]


@given(
    tree=TREES.map(lambda tree: {key: kind for key, kind in tree.items() if key[0] == ""}),
    raw=st.binary(min_size=1, max_size=8).filter(
        lambda raw: not set(raw) & {0, ord("/")} and raw[:1] != b"."
    ),
    ending=st.sampled_from([b".jpg", b".PNG", b".txt"]),
    kind=st.sampled_from(["file", "link", "folder"]),
)
@settings(max_examples=100, deadline=None)
def test_names_of_any_bytes_work_or_are_refused(
    tree: dict[tuple[str, str], str], raw: bytes, ending: bytes, kind: str
) -> None:
    with grown(tree) as (root, entries):
        path = root / os.fsdecode(raw + ending)
        if os.path.lexists(path):
            return
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("nowhere")
        else:
            path.touch()
        is_image = kind != "folder" and ending != b".txt"
        try:
            (raw + ending).decode()
        except UnicodeDecodeError:
            if is_image:
                with pytest.raises(DataError, match="is not UTF-8") as caught:
                    image_files(root)
                assert str(caught.value).encode()  # can be printed
                is_image = False
        else:
            entries[path.name] = kind
        others = images_in({**entries, path.name: "folder"}, recursive=False)
        wanted = sorted([*others, *[path.name] * is_image])
        with gathering() as problems:
            if wanted:
                assert [file.name for file in image_files(root)] == wanted
        assert all(problem.kind == "name not UTF-8" for problem in problems)


@given(tree=TREES)
@settings(max_examples=100, deadline=None)
def test_a_table_of_all_names_finds_every_image(tree: dict[tuple[str, str], str]) -> None:
    with grown(tree) as (root, entries):
        names = images_in(entries, recursive=True)
        if not names:
            return
        table = root.parent / "labels.csv"
        rows = ['"' + name.replace('"', '""') + '",clear' for name in names]
        table.write_text("\n".join(["image_name,tags", *rows]), encoding="utf-8", newline="")
        assert [row.path for row in read_tags(table, root)] == [root / name for name in names]


def test_a_tree_deeper_than_python_recurses(tmp_path: Path) -> None:
    folders = [tmp_path]
    for _ in range(sys.getrecursionlimit() + 100):
        folders.append(folders[-1] / "a")
        folders[-1].mkdir()
    image = folders[-1] / "x.jpg"
    image.touch()
    try:
        assert image_files(tmp_path, recursive=True) == [image]
    finally:  # pytest's own cleaning recurses
        image.unlink()
        for folder in reversed(folders[1:]):
            folder.rmdir()
