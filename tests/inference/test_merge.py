"""`visionkit merge`: whole shards become one table, and whatever is missing, double or of others is found."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow
import pytest
from conftest import Cli
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference import growing_files, merging
from visionkit.inference.growing_files import ParquetFolder
from visionkit.inference.manifest import ShardManifest, parts_in, write_manifest
from visionkit.inference.merging import merge_shards
from visionkit.inference.rows import Column
from visionkit.inference.shards import ListMark, NameSum, Shard
from visionkit.inference.targets import FailedImages, ShardTarget

COLUMNS = [Column("image", "text"), Column("tags", "texts"), Column("p")]
NAMES = st.lists(
    st.sampled_from(["a.png", "b.png", "ü,\n.png", *(f"{n}.png" for n in range(12))]), max_size=16
)
LISTS = [*(f"{number}.png" for number in range(7)), "3.png"]
"""One image is named twice."""


def write_shard(folder: Path, names: list[str], shard: Shard, failing: set[str], **work: object) -> None:
    """What `visionkit predict --shard` leaves, with parts of two rows."""
    mark = ListMark()
    for name in names:
        mark.add(name)
    target = ShardTarget(folder, folder / shard.name, ".parquet")
    failed = FailedImages(target.failed, ())
    own = list(shard.cut(names))
    with patch.object(growing_files, "VALUES_OF_A_PART", 6):
        table = ParquetFolder(target.table, COLUMNS)
        list(table.begin())
        for name in own:
            if name in failing:
                failed.add(name, "no image")
            else:
                table.add([name, ["x", "y"], 0.5], {})
        table.close()
    said = {"weights": "w", "columns": [each.name for each in COLUMNS], "images": mark.as_json()}
    write_manifest(
        target.manifest,
        ShardManifest(
            visionkit="0.1.0",
            model="/runs/1/model",
            names_from="/data",
            work=said | {"shards": shard.of} | work,
            shard=shard.number,
            entries=len(own),
            listed=str(NameSum.of(own)),
            images=len(own),
            names=str(NameSum.of(own)),
            failed=failed.count,
            parts=list(parts_in(target.table)),
        ),
    )


def write_shards(folder: Path, names: list[str], of: int, failing: set[str]) -> Path:
    folder.mkdir(parents=True)
    for number in range(1, of + 1):
        write_shard(folder, names, Shard(number, of), failing)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Eight images in three shards; 5.png has failed."""
    return write_shards(tmp_path / "a.parquet", LISTS, 3, {"5.png"})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- whole tables ----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(NAMES, st.integers(1, 6), st.sets(st.sampled_from(["a.png", "3.png"])))
def test_whole_tables_are_merged(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], of: int, failing: set[str]
) -> None:
    folder = write_shards(tmp_path_factory.mktemp("whole") / "a.parquet", names, of, failing)
    one = folder.with_name("one.parquet")
    merged = merge_shards(folder, one)
    expected = Counter(name for name in names if name not in failing)
    for path in (folder, one):
        found = pd.read_parquet(path)
        assert Counter(found["image"]) == expected and list(found.columns) == ["image", "tags", "p"]
    failed = Counter(pd.read_csv(merged.failed)["image"]) if merged.failed else Counter()
    assert failed == Counter(names) - expected and failed.total() == merged.manifest.failed
    assert merged.manifest.rows == expected.total() and merged.manifest.images == len(names)
    assert merge_shards(folder, one).there


def test_what_is_said_and_written(cli: Cli, table: Path) -> None:
    before = contents(table)
    result = cli("merge", table, "--out", "one.parquet")
    assert result.exit_code == 0 and result.stdout == "one.parquet\n", result.output
    assert "8 images in 3 shards: 7 rows, none missing or double." in result.stderr
    assert f"1 could not be used. See {table}.failed.csv." in result.stderr
    assert Path(f"{table}.failed.csv").read_text() == "image,reason\n5.png,no image\n"
    manifest = json.loads((table / "_manifest.json").read_text())
    assert (manifest["images"], manifest["rows"], manifest["failed"]) == (8, 7, 1)
    assert [each["shard"] for each in manifest["shards"]] == [1, 2, 3]
    after = contents(table)
    del after["_manifest.json"]
    assert after == before
    assert parquet.read_table("one.parquet").schema.names == ["image", "tags", "p"]

    written = Path("one.parquet").stat().st_mtime_ns
    again = cli("merge", table, "--out", "one.parquet")
    assert again.exit_code == 0 and "nothing to do: they are in one.parquet" in again.stderr
    assert Path("one.parquet").stat().st_mtime_ns == written
    alone = cli("merge", table)
    assert alone.exit_code == 0 and alone.stdout == f"{table}\n"


def test_rows_are_written_group_by_group(table: Path, tmp_path: Path) -> None:
    with patch("visionkit.inference.one_parquet.MOST_ROWS", 3):
        merge_shards(table, tmp_path / "one.parquet")
    groups = parquet.read_metadata(tmp_path / "one.parquet")
    assert [groups.row_group(place).num_rows for place in range(groups.num_row_groups)] == [3, 3, 1]
    assert list(pd.read_parquet(tmp_path / "one.parquet")["tags"][6]) == ["x", "y"]


def test_files_of_others_are_kept(cli: Cli, table: Path, tmp_path: Path) -> None:
    pd.DataFrame({"image": ["a"]}).to_parquet("own.parquet")
    Path("text.parquet").write_text("mine")
    other = write_shards(tmp_path / "b.parquet", ["x.png"], 1, set())
    merge_shards(other, Path("other.parquet"))
    before = contents(Path())
    for name, words in (
        ("own.parquet", "is there already"),
        ("text.parquet", "is there already"),
        ("other.parquet", "is there already"),
        ("a.csv", "ends in .parquet"),
        ("none/a.parquet", "there is no folder none"),
        (str(table), "is there already"),
        (str(table / "one.parquet"), "would be read as a part of it"),
    ):
        result = cli("merge", table, "--out", name)
        assert result.exit_code == 2 and words in result.stderr, (name, result.output)
        assert result.stderr.count("Error") == 1
    assert contents(Path()) == before and not (table / "_manifest.json").exists()
    assert cli("merge", "gone.parquet").exit_code == 2


# ---- what is missing, double or of others ----------------------------------------------------------------


def drop(folder: Path, data: st.DataObject) -> None:
    """A shard, a manifest, a part or a list of failures is gone."""
    path = folder / data.draw(st.sampled_from(sorted(contents(folder))))
    chosen = data.draw(st.sampled_from([path, path.parent]))
    shutil.rmtree(chosen) if chosen.is_dir() and chosen != folder else path.unlink()


def copy(folder: Path, data: st.DataObject) -> None:
    """A part or a shard is there again, under another name or in place of another one."""
    parts = sorted(folder.rglob("*.parquet"))
    shards = sorted(path for path in folder.iterdir() if path.is_dir())
    if data.draw(st.booleans()):
        source, place = data.draw(st.sampled_from(parts)), data.draw(st.sampled_from(parts))
        name = data.draw(st.sampled_from([place.name, "part-000009.parquet", "copy.parquet"]))
        shutil.copy(source, place.with_name(name)) if source != place.with_name(name) else source.unlink()
        return
    source, place = data.draw(st.sampled_from(shards)), data.draw(st.sampled_from([*shards, folder / "more"]))
    if source != place and place in shards:
        shutil.rmtree(place)
    shutil.copytree(source, place) if source != place else shutil.rmtree(source)
    if data.draw(st.booleans()) and place in shards and source != place:
        shutil.copy(folder / f"_{source.name}.manifest.json", folder / f"_{place.name}.manifest.json")


def change_rows(folder: Path, data: st.DataObject) -> None:
    """A row of a part is gone, double, or of another image."""
    path = data.draw(st.sampled_from([each for each in sorted(folder.rglob("*.parquet")) if len(rows(each))]))
    found = rows(path)
    place = data.draw(st.integers(0, len(found) - 1))
    what = data.draw(st.sampled_from(["drop", "double", "other"]))
    if what == "other":
        found[place]["image"] = "other.png"
    else:
        found[place : place + 1] = [] if what == "drop" else [found[place], found[place]]
    parquet.write_table(pyarrow.Table.from_pylist(found, parquet.read_schema(path)), path)


def rows(path: Path) -> list[dict[str, object]]:
    return parquet.ParquetFile(path).read().to_pylist()


@settings(max_examples=35, deadline=None)
@given(st.data())
def test_whatever_is_missing_or_double_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = write_shards(tmp_path_factory.mktemp("spoilt") / "a.parquet", LISTS, 3, {"5.png"})
    for _ in range(data.draw(st.integers(1, 2))):
        data.draw(st.sampled_from([drop, copy, change_rows]))(folder, data)
        if not any(len(rows(each)) for each in folder.rglob("*.parquet")):
            break
    one = folder.with_name("one.parquet")
    before = contents(folder)
    if before == contents(write_shards(folder.with_name("whole"), LISTS, 3, {"5.png"})):
        return  # the second change has undone the first
    with pytest.raises(VisionkitError) as caught:
        merge_shards(folder, one)
    assert caught.value.exit_code == 1 and str(caught.value).endswith(("written.", "touched.", "again."))
    assert not one.exists() and contents(folder) == before


def test_shards_and_images_are_named(cli: Cli, table: Path) -> None:
    def refused() -> str:
        result = cli("merge", table)
        assert result.exit_code == 1 and result.stderr.count("Error") == 1, result.output
        return result.stderr

    second, third = (table / Shard(number, 3).name for number in (2, 3))
    kept = contents(table)

    def restore() -> None:
        shutil.rmtree(table)
        for name, content in kept.items():
            (table / name).parent.mkdir(parents=True, exist_ok=True)
            (table / name).write_bytes(content)

    shutil.rmtree(third)
    (table / f"_{third.name}.manifest.json").unlink()
    assert "shard 3 of 3 is missing. Repeat visionkit predict with --shard 3/3" in refused()
    third.mkdir()
    assert "shard 3 of 3 is not finished" in refused()
    restore()
    (third / "part-000000.parquet").unlink()
    assert "shard 3 of 3: part-000000.parquet is missing" in refused()
    restore()
    shutil.copy(second / "part-000000.parquet", third / "part-000000.parquet")
    said = refused()
    assert "shard 3 of 3: part-000000.parquet has" in said
    assert "Images with several rows: " in said and "1.png" in said
    restore()
    (second / "part-000000.parquet").write_text("no Parquet")
    assert "shard 2 of 3: part-000000.parquet cannot be read" in refused()
    restore()
    shutil.copytree(second, table / "shard-00002-of-00004")
    assert "shard-00002-of-00004 is of no shard" in refused()
    restore()
    (table / f"_{second.name}.manifest.json").write_text("{")
    assert "is damaged, or of another version" in refused()
    restore()
    failed = table / f"_{third.name}.failed.csv"
    failed.write_text("image,reason\n6.png,no image\n")
    assert "shard 3 of 3: has other images than its share of the list" in refused()
    for spoilt in ("\n", "5.png,no image,really\n", "image,reason\n\n5.png,no image\n"):
        failed.write_text(spoilt if "reason" in spoilt else f"image,reason\n{spoilt}")
        assert f"{failed}: row 2 is not an image and a reason" in refused()
    failed.unlink()
    assert "lists 0 images, and 1 have failed" in refused()
    restore()
    assert cli("merge", table).exit_code == 0


@pytest.mark.parametrize(
    "changes", [{"entries": 9}, {"listed": f"{7:032x}"}, {"entries": 2, "listed": f"{7:032x}"}]
)
@pytest.mark.parametrize("wholes", [{}, {"tars": 3}])
def test_manifests_that_are_not_of_the_list(
    table: Path, changes: dict[str, object], wholes: dict[str, int]
) -> None:
    for number in (1, 2, 3):
        path = ShardTarget(table, table / Shard(number, 3).name, ".parquet").manifest
        said = json.loads(path.read_text())
        said["work"]["images"] |= wholes
        path.write_text(json.dumps(said | (changes if number == 2 else {})))
    with pytest.raises(VisionkitError, match="do not add up to the 8 images and tar files"):
        merge_shards(table)


def test_a_shard_that_is_added_to_meanwhile(cli: Cli, table: Path) -> None:
    manifest = ShardTarget(table, table / Shard(3, 3).name, ".parquet").manifest
    write = merging.write_one

    def meanwhile(*args: Any) -> None:
        write(*args)
        manifest.unlink()  # what visionkit predict begins with

    with patch.object(merging, "write_one", meanwhile):
        result = cli("merge", table, "--out", "one.parquet")
    assert result.exit_code == 1 and "has added to a shard while it was merged" in result.stderr
    assert not Path("one.parquet").exists() and not (table / "_manifest.json").exists()


@pytest.mark.parametrize(
    ("names", "work", "words"),
    [
        (LISTS, {"weights": "v"}, "shard 2 of 3 was predicted by another model"),
        (LISTS, {"top": 1}, "shard 2 of 3 was predicted with another top"),
        (LISTS[1:], {}, "shard 2 of 3 was predicted with another list of images"),
    ],
)
def test_shards_of_other_calls(table: Path, names: list[str], work: dict[str, object], words: str) -> None:
    shutil.rmtree(table / Shard(2, 3).name)
    write_shard(table, names, Shard(2, 3), set(), **work)
    with pytest.raises(VisionkitError, match=words):
        merge_shards(table)


def test_tables_without_shards(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(VisionkitError, match="no shard of it is finished, or it was not written in shards"):
        merge_shards(tmp_path / "a.parquet")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="there is no such folder"):
        merge_shards(tmp_path / "file")
