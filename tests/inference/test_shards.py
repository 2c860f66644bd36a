"""`visionkit predict --shard`: even shares, each image once, going on after a kill, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from conftest import Cli, noise
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from inference.stored import stored_bundle
from PIL import Image
from shards import conftest as shard_fixtures
from shards.making import jpeg, tar_of

from visionkit.errors import DataError, UsageError
from visionkit.inference import growing_files, image_sources
from visionkit.inference.inputs import named_entries, names_with_list
from visionkit.inference.shards import ListMark, NameSum, Shard, torchrun_rank
from visionkit.inference.shares import Share
from visionkit.shards.named_images import Tars

NAMES = st.lists(st.text(max_size=4), max_size=40)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_bundle(tmp_path_factory.mktemp("models") / "single-label", "single-label")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(7):
        Image.fromarray(noise(number, 32, 32)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of eleven columns."""
    monkeypatch.setattr(growing_files, "VALUES_OF_A_PART", 22)


# ---- the cut ---------------------------------------------------------------------------------------------


@given(NAMES, st.integers(1, 50))
def test_each_image_is_in_one_shard_and_sizes_are_even(names: list[str], of: int) -> None:
    shares = [list(Shard(number, of).cut(iter(names))) for number in range(1, of + 1)]
    assert sum(map(Counter, shares), Counter()) == Counter(names)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    whole = NameSum()
    for share in shares:
        whole.add_all(NameSum.read(str(NameSum.of(share))))
    assert str(whole) == str(NameSum.of(sorted(names)))


@given(NAMES, NAMES)
def test_sums_are_equal_where_names_are(one: list[str], two: list[str]) -> None:
    assert (str(NameSum.of(one)) == str(NameSum.of(two))) == (Counter(one) == Counter(two))
    marks = []
    for names in (one, two):
        marks.append(ListMark())
        for name in names:
            marks[-1].add(name)
    assert (marks[0].as_json() == marks[1].as_json()) == (one == two)


def test_words_for_a_shard() -> None:
    assert Shard.parse("3/16") == Shard(3, 16) and Shard(3, 16).name == "shard-00003-of-00016"
    for wrong in ("0/4", "5/4", "x", "3", "1/", "/2", "-1/2", "1/0", "1.0/2", "1/100000", "1/2/3", "¹/2"):
        with pytest.raises(UsageError, match=f"^--shard {wrong}: .*[Gg]ive K/N"):
            Shard.parse(wrong)


def test_what_torchrun_says() -> None:
    def rank(*values: str) -> object:
        return torchrun_rank(dict(zip(("RANK", "WORLD_SIZE", "LOCAL_RANK"), values)))

    assert rank() is None and rank("0", "2") is None
    found = torchrun_rank({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert found is not None and found.shard == Shard(6, 8)
    assert found.device("cpu") == "cpu" and found.device("cuda:0") == "cuda:0"
    for wrong in (("2", "2", "0"), ("-1", "2", "0"), ("x", "2", "0"), ("0", "2", "-1"), ("0", "", "0")):
        with pytest.raises(UsageError, match="unset them, or give --shard"):
            rank(*wrong)


# ---- a table in shards -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_parts")
def test_shards_are_one_table(cli: Cli, model: Path, photos: Path) -> None:
    call = ["predict", model, photos, photos / "3.png", "--device", "cpu", "--out"]  # 3.png twice
    assert cli(*call, "whole.parquet").exit_code == 0
    for number in (2, 3, 1):
        result = cli(*call, "a.parquet", "--shard", f"{number}/3")
        assert result.exit_code == 0 and result.stdout == f"a.parquet/shard-0000{number}-of-00003\n"
        assert f"shard {number} of 3: {2 if number == 3 else 3} new." in result.stderr
    whole, found = pd.read_parquet("whole.parquet"), pd.read_parquet("a.parquet")
    assert list(found.columns) == list(whole.columns) and len(found) == 8
    for table in (whole, found):
        table.sort_values("image", inplace=True, ignore_index=True)
    assert list(found["image"]) == list(whole["image"]) and list(found["label"]) == list(whole["label"])
    assert list(found["probability"]) == pytest.approx(list(whole["probability"]), abs=1e-5)
    assert len(list(Path("a.parquet/shard-00001-of-00003").iterdir())) == 2
    manifest = json.loads(Path("a.parquet/_shard-00002-of-00003.manifest.json").read_text())
    assert (manifest["shard"], manifest["images"], manifest["failed"]) == (2, 3, 0)
    assert manifest["work"]["images"]["count"] == 8 and [part["rows"] for part in manifest["parts"]] == [2, 1]


@pytest.mark.usefixtures("small_parts")
def test_only_what_is_missing_is_done(cli: Cli, model: Path, photos: Path) -> None:
    call = ["predict", model, photos, "--device", "cpu", "--out", "a.parquet", "--shard"]
    (photos / "2.png").write_text("no image")
    failed = cli(*call, "1/2")
    assert failed.exit_code == 1 and "shard 1 of 2: 1 of 4 images could not be used" in failed.stderr
    assert Path("a.parquet/_shard-00001-of-00002.failed.csv").is_file()
    Image.fromarray(noise(2, 32, 32)).save(photos / "2.png")
    mended = cli(*call, "1/2")
    assert mended.exit_code == 0 and "shard 1 of 2: 1 new, 3 were there." in mended.stderr, mended.output
    assert not Path("a.parquet/_shard-00001-of-00002.failed.csv").exists()
    again = cli(*call, "1/2")
    assert again.exit_code == 0 and "shard 1 of 2: nothing to do: 4 images are there." in again.stderr
    assert "model " not in again.stderr, "no model is loaded"

    parts = sorted(Path("a.parquet/shard-00001-of-00002").iterdir())
    parts[0].unlink()
    lost = cli(*call, "1/2")
    assert lost.exit_code == 0 and "shard 1 of 2: 2 new, 2 were there." in lost.stderr, lost.output
    Path("a.parquet/_shard-00001-of-00002.manifest.json").unlink()  # as after a kill at the very end
    assert "nothing to do" in cli(*call, "1/2").stderr
    assert Path("a.parquet/_shard-00001-of-00002.manifest.json").is_file()
    parts[1].with_name("part-000009.parquet").write_bytes(parts[1].read_bytes())
    double = cli(*call, "1/2")
    assert (
        double.exit_code == 1 and "not so often: " in double.stderr and "Delete this folder" in double.stderr
    )


def test_other_lists_models_and_options_are_refused(
    cli: Cli, model: Path, photos: Path, tmp_path: Path
) -> None:
    call = ["predict", model, photos, "--device", "cpu", "--out", "a.parquet"]
    assert cli(*call, "--shard", "1/2").exit_code == 0
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    other = stored_bundle(tmp_path / "other", "multi-label")
    for changed, words in (
        ([*call[:3], photos / "0.png", *call[3:], "--shard", "2/2"], "another list of images"),
        ([*call, "--shard", "2/3"], "another number of shards"),
        ([*call, "--top", 2, "--shard", "2/2"], "another columns and another top"),
        (["predict", other, *call[2:], "--shard", "2/2"], "by another model"),
        (call, "another list of images and another number of shards"),
    ):
        result = cli(*changed)
        assert result.exit_code == 2 and words in result.stderr, result.output
        assert "nothing was touched" in result.stderr and result.stderr.count("Error") == 1
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    assert cli(*call[:-1], "b.parquet").exit_code == 0
    assert cli(*call[:-1], "b.parquet", "--shard", "1/2").exit_code == 2  # a table that is not in shards


def test_wrong_calls(cli: Cli, model: Path, photos: Path, tmp_path: Path) -> None:
    masks = stored_bundle(tmp_path / "masks", "segmentation")
    for given_model, options, words in (
        *((model, ["--out", "a.parquet", "--shard", wrong], "K/N") for wrong in ("0/4", "5/4", "x", "3")),
        (model, ["--shard", "1/2"], "give --out a folder that ends in .parquet"),
        (model, ["--shard", "1/2", "--json"], "give --out a folder that ends in .parquet"),
        (model, ["--shard", "1/2", "--out", "a.csv"], "name a folder that ends in .parquet"),
        (masks, ["--shard", "1/2", "--out", "found"], "name a folder that ends in .parquet"),
        (masks, ["--shard", "1/2", "--out", "a.parquet", "--overlay"], "--overlay writes pictures"),
    ):
        result = cli("predict", given_model, photos, *options)
        assert result.exit_code == 2 and words in result.stderr, (options, result.output)
        assert "Traceback" not in result.output and result.stderr.count("Error") == 1
    assert not list(Path().iterdir())
    shares = cli("predict", masks, photos, "--out", "a.parquet", "--shard", "1/2", "--device", "cpu")
    assert shares.exit_code == 0, shares.output
    assert pd.read_parquet("a.parquet").columns[0] == "image"


def test_more_shards_than_images(cli: Cli, model: Path, photos: Path) -> None:
    call = ["predict", model, photos / "0.png", "--device", "cpu", "--out", "a.parquet", "--shard"]
    assert [cli(*call, f"{number}/3").exit_code for number in (3, 1, 2)] == [0, 0, 0]
    assert len(pd.read_parquet("a.parquet")) == 1


def test_shards_without_images_that_were_killed(cli: Cli, model: Path) -> None:
    Path("none.csv").write_text("path\n")
    call = ["predict", model, "none.csv", "--column", "path", "--device", "cpu", "--out", "a.parquet"]
    parts = [Path(f"a.parquet/shard-0000{number}-of-00002/part-000000.parquet") for number in (1, 2)]
    for number in (1, 2):
        assert cli(*call, "--shard", f"{number}/2").exit_code == 0
        manifest = Path(f"a.parquet/_shard-0000{number}-of-00002.manifest.json")
        said = json.loads(manifest.read_text())  # as an earlier version left it, after a kill
        manifest.write_text(json.dumps({**said, "parts": []}))
        parts[number - 1].unlink()
    refused = cli("merge", "a.parquet", "--out", "one.parquet")
    assert refused.exit_code == 1 and "Repeat visionkit predict with --shard 1/2" in refused.stderr
    for number in (1, 2):
        assert cli(*call, "--shard", f"{number}/2").exit_code == 0 and parts[number - 1].is_file()
    merged = cli("merge", "a.parquet", "--out", "one.parquet")
    assert merged.exit_code == 0, merged.output
    assert "image" in pd.read_parquet("one.parquet").columns


def test_torchrun_needs_parquet_and_no_standard_input(
    cli: Cli, model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for options, words in (
        ([photos], "torchrun has started 2 processes"),
        ([photos, "--out", "a.csv"], "torchrun has started 2 processes"),
        (["-", "--out", "a.parquet"], "only one process can read"),
    ):
        result = cli("predict", model, *options)
        assert result.exit_code == 2 and words in result.stderr, result.output


def test_memory_does_not_grow_with_copies_of_the_list(tmp_path: Path) -> None:
    count = 5_000
    for number in range(count):
        (tmp_path / f"image-{number:06}.jpg").touch()
    listed = b"".join(b"%s\n" % bytes(file) for file in tmp_path.iterdir())
    for names in ([str(tmp_path)], ["-"]):
        tracemalloc.start()
        share = Share(named_entries(names_with_list(names, BytesIO(listed)), Tars()), Shard(1, 50))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(share.inputs) == count // 50 and peak < 2.5 * len(listed), names


# ---- whole tar files -------------------------------------------------------------------------------------


Put = Callable[[str, bytes], str]
put, fetches = shard_fixtures.put, shard_fixtures.fetches


@pytest.fixture
def stored_tars(put: Put) -> list[str]:
    """Addresses of twelve tar files with three images each."""
    return [
        put(f"{tar:02}.tar", tar_of({f"{number}.jpg": jpeg(3 * tar + number) for number in range(3)}))
        for tar in range(12)
    ]


SMALL_CACHE = "[paths]\ndata = own\n[cache]\nshards_gb = 0.000016\n"
"""Room for one of the tar files."""


@pytest.mark.parametrize("gigabytes", [0.000016, 1])
def test_each_process_fetches_its_own_tar_files_once(
    cli: Cli, model: Path, photos: Path, stored_tars: list[str], fetches: list[str], gigabytes: float
) -> None:
    call = ["predict", model, "memory://bucket/*.tar", photos, "--device", "cpu", "--out", "a.parquet"]
    for number in (2, 1, 3):
        Path("settings.ini").write_text(f"[paths]\ndata = own{number}\n[cache]\nshards_gb = {gigabytes}\n")
        done = cli(*call, "--shard", f"{number}/3")
        assert done.exit_code == 0, done.output
        images = 12 + (3 if number == 1 else 2)  # four tar files, and a third of seven photos
        assert f"shard {number} of 3: {images} new." in done.stderr
        assert sorted(fetches) == [f"{tar:02}.tar" for tar in range(number - 1, 12, 3)]
        fetches.clear()
        assert f"nothing to do: {images} images are there" in cli(*call, "--shard", f"{number}/3").stderr
        assert not fetches
    found = [name.removeprefix("memory:/") for name in pd.read_parquet("a.parquet")["image"]]
    wanted = [f"{address[9:]}/{number}.jpg" for address in stored_tars for number in range(3)]
    assert Counter(found) == Counter([*wanted, *map(str, photos.iterdir())])
    manifest = json.loads(Path("a.parquet/_shard-00002-of-00003.manifest.json").read_text())
    assert (manifest["entries"], manifest["images"]) == (6, 14)
    assert manifest["work"]["images"]["count"] == 19 and manifest["work"]["images"]["tars"] == 12
    merged = cli("merge", "a.parquet")
    assert merged.exit_code == 0 and "43 images in 3 shards: 43 rows" in merged.stderr, merged.output


def test_few_tar_files_are_shared_by_the_image(cli: Cli, model: Path, stored_tars: list[str]) -> None:
    for number in (1, 2, 3, 4):
        done = cli(
            *("predict", model, *stored_tars, "--device", "cpu", "--out", "a.parquet"),
            *("--shard", f"{number}/4"),
        )
        assert done.exit_code == 0 and f"shard {number} of 4: 9 new." in done.stderr, done.output
    merged = cli("merge", "a.parquet")
    assert merged.exit_code == 0 and "36 images in 4 shards: 36 rows" in merged.stderr, merged.output


@pytest.mark.usefixtures("small_parts")
def test_only_tar_files_with_missing_images_are_fetched_again(
    cli: Cli, model: Path, put: Put, stored_tars: list[str], fetches: list[str]
) -> None:
    Path("settings.ini").write_text(SMALL_CACHE)
    put("04.tar", tar_of({"a.jpg": jpeg(0), "b.jpg": b"no image", "c.jpg": jpeg(1)}))
    call = ["predict", model, *stored_tars, stored_tars[2], "--device", "cpu", "--out", "a.parquet"]
    call += ["--shard"]  # 02.tar twice: once for each shard
    failed = cli(*call, "1/2")
    assert failed.exit_code == 1 and "1 of 21 images could not be used" in failed.stderr, failed.output
    fetches.clear()
    again = cli(*call, "1/2")
    assert "shard 1 of 2: 0 new, 20 were there." in again.stderr and fetches == ["04.tar"]
    failures = Path("a.parquet/_shard-00001-of-00002.failed.csv")
    assert len(failures.read_text().splitlines()) == 2
    fetches.clear()

    folder = Path("a.parquet/shard-00001-of-00002")
    lost = sorted(folder.iterdir())[1]
    names = set(pd.read_parquet(lost)["image"])
    lost.unlink()
    mended = cli(*call, "1/2")
    assert f"{len(names)} new, {20 - len(names)} were there." in mended.stderr, mended.output
    assert set(fetches) == {Path(name).parent.name for name in names} | {"04.tar"}
    with Path("a.parquet/_shard-00001-of-00002.tars.jsonl").open("a") as memory:
        memory.write('{"tar": "half')  # as a kill leaves it
    fetches.clear()
    assert "0 new, 20 were there." in cli(*call, "1/2").stderr and set(fetches) <= {"04.tar"}
    assert cli(*call, "2/2").exit_code == 0
    merged = cli("merge", "a.parquet")
    assert merged.exit_code == 0 and "39 images in 2 shards: 38 rows" in merged.stderr, merged.output

    put("05.tar", tar_of({"0.jpg": jpeg(9)}))
    changed = cli(*call, "1/2")
    assert changed.exit_code == 2 and "another list of images" in changed.stderr, changed.output


def test_rows_of_no_image_of_a_tar_file(cli: Cli, model: Path, stored_tars: list[str]) -> None:
    call = ["predict", model, *stored_tars, "--device", "cpu", "--out", "a.parquet", "--shard", "1/1"]
    assert cli(*call).exit_code == 0
    part = next(Path("a.parquet/shard-00001-of-00001").iterdir())
    Path("a.parquet/_shard-00001-of-00001.manifest.json").unlink()
    shutil.copy(part, part.with_name("part-000009.parquet"))
    double = cli(*call)
    assert double.exit_code == 1 and "or not so often: " in double.stderr, double.output


def test_a_tar_file_that_cannot_be_read_does_not_keep_the_others(
    cli: Cli, model: Path, put: Put, stored_tars: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = MemoryFileSystem.get_file

    def away(self: MemoryFileSystem, rpath: str, *args: object, **options: object) -> object:
        if rpath.endswith("02.tar"):
            raise ConnectionError("the store is away")
        return fetch(self, rpath, *args, **options)

    Path("settings.ini").write_text(SMALL_CACHE)
    call = ["predict", model, *stored_tars, "--device", "cpu", "--out", "a.parquet", "--shard", "1/2"]
    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "get_file", away)
        refused = cli(*call)
    assert refused.exit_code == 1 and "one tar file of 6 cannot be read, and the others are done" in (
        refused.stderr
    )
    assert "02.tar: cannot be fetched (the store is away)" in refused.stderr
    assert "shard 1 of 2 is not finished" in cli("merge", "a.parquet").stderr
    mended = cli(*call)
    assert mended.exit_code == 0 and "shard 1 of 2: 3 new, 15 were there." in mended.stderr, mended.output


def test_nothing_is_begun_where_something_cannot_be_listed(
    cli: Cli,
    model: Path,
    photos: Path,
    tmp_path: Path,
    stored_tars: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "bad.tar").write_bytes(b"no tar")
    (tmp_path / "away").mkdir()
    scan = image_sources.scan_folder

    def hiccup(folder: Path) -> tuple[list[str], list[str]]:
        if folder.name != "away":
            return scan(folder)
        raise DataError(f"{folder}: the folder cannot be read (stale).") from OSError("stale")

    monkeypatch.setattr(image_sources, "scan_folder", hiccup)
    for names, words in (
        ([photos, tmp_path / "away"], "away: cannot be listed (the folder cannot be read (stale)), so"),
        ([*stored_tars, "memory://bucket/gone.tar"], "gone.tar: there is no such file"),
        ([tmp_path / "bad.tar"], "bad.tar: not a whole"),
        ([photos, tmp_path / "gone.tar"], "gone.tar: the shard cannot be read"),
        (["memory://bucket/x*.jpg"], "no shard matches), so nobody knows"),
    ):
        result = cli("predict", model, *names, "--device", "cpu", "--out", "a.parquet", "--shard", "1/2")
        assert result.exit_code in (1, 2) and words in result.stderr, result.output
        assert result.stderr.count("Error") == 1 and not list(Path().iterdir())


# ---- processes -------------------------------------------------------------------------------------------

SMALL_PARTS = (
    "from visionkit.inference import growing_files; growing_files.VALUES_OF_A_PART = 44; "
    "from visionkit.cli import main; main()"
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_a_killed_shard_goes_on(cli: Cli, model: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    Image.fromarray(noise(0, 32, 32)).save(tmp_path / "0.png")
    names.write_text("path\n" + "0.png\n" * 3000)
    call = ["predict", model, names, "--column", "path", "--bs", "4", "--device", "cpu", "--out", "a.parquet"]
    call += ["--shard", "2/3"]
    shard = Path("a.parquet/shard-00002-of-00003")
    running = subprocess.Popen(
        [sys.executable, "-c", SMALL_PARTS, *map(str, call)], stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    until = time.monotonic() + 60
    while not (shard / "part-000003.parquet").exists():
        assert running.poll() is None and time.monotonic() < until, running.communicate()
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    there = len(pd.read_parquet(shard))
    assert 16 <= there < 1000 and not Path("a.parquet/_shard-00002-of-00003.manifest.json").exists()
    merged = cli("merge", "a.parquet")
    assert merged.exit_code == 1 and "shards 1, 3 of 3 are missing and shard 2 of 3 is not finished" in (
        merged.stderr
    )
    last = cli(*call)
    assert last.exit_code == 0 and f"{1000 - there:,} new, {there:,} were there." in last.stderr, last.output
    assert len(pd.read_parquet("a.parquet")) == 1000
    assert sorted(path.name for path in Path("a.parquet").iterdir()) == [
        "_shard-00002-of-00003.manifest.json",
        "shard-00002-of-00003",
    ]


@pytest.mark.slow
def test_under_torchrun(cli: Cli, model: Path, photos: Path) -> None:
    """A rank whose images cannot all be used does not end the others."""
    (photos / "1.png").write_text("no image")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "visionkit"]
    call = ["predict", model, photos, "--device", "cpu", "--out", "a.parquet"]
    done = subprocess.run(
        [*torchrun, *map(str, call)], capture_output=True, text=True, timeout=120, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == [f"a.parquet/shard-0000{number}-of-00002" for number in (1, 2)]
    assert "shard 2 of 2: 1 of 3 images could not be used" in done.stderr
    merged = cli("merge", "a.parquet")
    assert merged.exit_code == 0 and "7 images in 2 shards: 6 rows" in merged.stderr, merged.output
