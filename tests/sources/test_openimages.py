"""Classes of Open Images become folders of cut-out boxes: metadata in the true form, on a local server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL_DATA
from http_host import Host, http_host
from openimages_release import COLOURS, LABELS, SIZE, Release, jpeg, photo_id, picture
from PIL import Image
from tenacity import wait_none

from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.progress import Silence
from visionkit.sources.base import Limits, Store
from visionkit.sources.catalogue import entries, fetched, find_entry, remove
from visionkit.sources.downloads import attempts
from visionkit.sources.openimages import OpenImages, metadata, photos

PAIR = ("Sandwich", "Hamburger")
GIF = b"GIF89a" + bytes(60)


class Notes(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def summary(self) -> str:
        """What was said of the photos since the last call."""
        found = [text.removeprefix("photos     ") for text in self.said if text.startswith("photos ")]
        self.said.clear()
        return found[-1] if found else ""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(attempts, "SLEEP", lambda seconds: None)
    monkeypatch.setattr(attempts, "WAIT", wait_none())
    with http_host() as host:
        yield host


@pytest.fixture
def release(host: Host) -> Release:
    """Six photos of each class of the pair, one box in each."""
    release = Release(host)
    for number in range(12):
        release.put(number, PAIR[number % 2])
    return release


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def store(tmp_path: Path, notes: Notes) -> Store:
    return Store(tmp_path / "store", notes, Limits())


def source(release: Release, *classes: str, **options: object) -> OpenImages:
    release.serve()
    given = {"pause": 0.0, "parallel": 4, **options}
    return OpenImages(classes or PAIR, metadata=release.address, **given)  # type: ignore[arg-type]


def names(folder: Path) -> dict[str, list[str]]:
    return {
        each.name: sorted(file.name for file in each.iterdir()) for each in folder.iterdir() if each.is_dir()
    }


def count(folder: Path) -> dict[str, int]:
    return {name: len(files) for name, files in names(folder).items()}


def middle(file: Path) -> tuple[int, ...]:
    with Image.open(file) as opened:
        return tuple(map(int, opened.getpixel((opened.width // 2, opened.height // 2))))  # type: ignore[arg-type]


def close(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, wanted)) < 25


def test_boxes_become_folders_of_classes_with_credits(release: Release, store: Store, notes: Notes) -> None:
    folder = fetched(source(release), store)
    assert count(folder) == {"Sandwich": 6, "Hamburger": 6}
    for name, files in names(folder).items():
        assert all(close(middle(folder / name / file), COLOURS[name]) for file in files)
    with Image.open(folder / "Sandwich" / f"{photo_id(0)}_1.jpg") as cut:
        # half of 200 x 160 pixels, and a tenth of it on each side
        assert cut.size == (120, 96)
    with (folder / "photos.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["ImageID"]: row for row in csv.DictReader(file)}
    assert set(rows) == {photo_id(number) for number in range(12)}
    row = rows[photo_id(3)]
    assert (row["Author"], row["Title"]) == ('Someone, "3"', "NA")
    assert row["License"].endswith("/by/2.0/") and row["OriginalLandingURL"].endswith("/someone/3")
    assert notes.summary() == "12 photos: 12 fetched"
    record = find_entry(store.root, source(release).name)
    assert record.files == 13 and "CC BY" in record.licence
    remove(store.root, record)
    assert not folder.exists() and (store.root / "openimages" / "photos").is_dir()


def test_a_second_call_asks_for_nothing(release: Release, store: Store) -> None:
    folder = fetched(source(release), store)
    release.host.asked.clear()
    assert fetched(source(release, "hamburger", "SANDWICH"), store) == folder
    assert release.host.paths == []


def test_other_options_cut_anew_and_fetch_nothing(release: Release, store: Store) -> None:
    first = fetched(source(release), store)
    release.asked_photos()
    bare = fetched(source(release, margin=0.0), store)
    assert release.asked_photos() == [] and release.host.paths == []
    assert bare != first and first.is_dir()
    with Image.open(bare / "Sandwich" / f"{photo_id(0)}_1.jpg") as cut:
        assert cut.size == (100, 80)


def test_other_classes_fetch_only_the_photos_that_are_missing(release: Release, store: Store) -> None:
    release.put(20, "Traffic light")
    both = release.put(21, "Traffic light", "Sandwich")
    fetched(source(release), store)
    release.asked_photos()
    folder = fetched(source(release, "Sandwich", "traffic light"), store)
    assert release.asked_photos() == [photo_id(20)]
    assert count(folder) == {"Sandwich": 7, "Traffic light": 2}
    assert f"{both}_1.jpg" in names(folder)["Sandwich"] and f"{both}_1.jpg" in names(folder)["Traffic light"]


@pytest.mark.parametrize(
    ("place", "option", "default"),
    [(0, "occluded", True), (1, "truncated", True), (2, "group", False), (3, "depiction", False)],
)
def test_flags_choose(place: int, option: str, default: bool, release: Release, store: Store) -> None:
    for number, value in enumerate((1, 0, -1), start=30):
        flags = [0] * 5
        flags[place] = value
        release.put(number, "Sandwich", flags=flags)
    taken = {
        value: count(fetched(source(release, **{option: value}), store))["Sandwich"]
        for value in (True, False)
    }
    assert taken == {True: 9, False: 8}, "what is unknown is taken"
    assert getattr(OpenImages(PAIR), option) is default


def test_limits_by_number_and_size(release: Release, store: Store, notes: Notes) -> None:
    release.put(40, "Sandwich", box=(0.1, 0.3, 0.1, 0.9))  # 40 pixels wide
    assert count(fetched(source(release, min_side=41), store))["Sandwich"] == 6
    assert "1 too small" in " ".join(notes.said)
    assert count(fetched(source(release, min_side=40), store))["Sandwich"] == 7
    few = fetched(source(release, per_class=2), store)
    more = fetched(source(release, per_class=3), store)
    assert count(few) == {"Sandwich": 2, "Hamburger": 2}
    assert all(set(files) < set(names(more)[name]) for name, files in names(few).items())


def test_a_box_of_two_classes_belongs_to_neither(release: Release, store: Store) -> None:
    release.put(50, "Sandwich")
    release.boxes.append({**release.boxes[-1], "LabelName": LABELS["Hamburger"]})
    release.boxes.append(release.boxes[0])  # written twice
    assert count(fetched(source(release), store)) == {"Sandwich": 6, "Hamburger": 6}


def test_dead_links_and_placeholders_are_counted_and_remembered(
    release: Release, host: Host, store: Store, notes: Notes
) -> None:
    png = io.BytesIO()
    Image.new("RGB", (20, 20)).save(png, "PNG")
    unavailable = host.serve("/images/en-us/photo_unavailable.png", png.getvalue(), kind="image/png")
    paths = [f"/photos/{photo_id(number)}_o.jpg" for number in range(12)]
    del host.files[paths[0]]
    host.files[paths[1]].failures = [(410, {})] * 9
    host.files[paths[2]].redirect = unavailable
    host.files[paths[3]].content = GIF
    host.serve(paths[4], b"<html>deleted</html>", kind="text/html; charset=utf-8")
    host.files[paths[5]].content = jpeg(picture([], 99))
    release.photos[6]["OriginalURL"] = "farm://nowhere"
    host.serve(paths[7], b"")
    folder = fetched(source(release), store)
    assert notes.summary() == "12 photos: 4 fetched, 7 gone, 1 changed"
    assert {file[:16] for files in names(folder).values() for file in files} == set(
        map(photo_id, (8, 9, 10, 11))
    )
    release.asked_photos()
    fetched(source(release, margin=0.2), store)
    assert release.asked_photos() == []
    assert notes.summary() == "12 photos: 4 fetched, 7 gone, 1 changed"


def test_without_a_checksum_any_photo_is_taken_but_no_placeholder(
    release: Release, host: Host, store: Store, notes: Notes
) -> None:
    for row in release.photos:
        row["OriginalMD5"] = ""
    host.files[f"/photos/{photo_id(0)}_o.jpg"].content = jpeg(picture([("Sandwich", (0, 1, 0, 1))], 1))
    host.files[f"/photos/{photo_id(2)}_o.jpg"].content = GIF
    host.files[f"/photos/{photo_id(4)}_o.jpg"].content = b"\xff\xd8 broken"
    folder = fetched(source(release), store)
    assert count(folder) == {"Sandwich": 4, "Hamburger": 6}
    assert "1 unreadable" in " ".join(notes.said)
    assert notes.summary() == "12 photos: 11 fetched, 1 gone"


def test_a_png_that_is_meant_is_a_photo(release: Release, host: Host, store: Store) -> None:
    png = io.BytesIO()
    picture([("Sandwich", (0, 1, 0, 1))], 1).save(png, "PNG")
    url = host.serve("/photos/original_o.png", png.getvalue())
    photo = release.put(60, "Sandwich", OriginalURL=url, OriginalMD5="")
    assert f"{photo}_1.jpg" in names(fetched(source(release), store))["Sandwich"]


def test_busy_servers_are_given_the_time_that_they_ask_for(
    release: Release, host: Host, store: Store, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(photos, "rest", lambda stop, seconds: rests.append(seconds))
    served = host.files[f"/photos/{photo_id(0)}_o.jpg"]
    served.failures = [(429, {"Retry-After": "7"}), (503, {}), (500, {})]
    served.cuts = [100]
    assert count(fetched(source(release, parallel=1), store)) == {"Sandwich": 6, "Hamburger": 6}
    assert max(rests) == 7, "this attempt waits"
    assert sum(6 < seconds <= 7 for seconds in rests) >= 2, "and so does whoever asks the host next"
    assert host.paths.count(f"/photos/{photo_id(0)}_o.jpg") == 5
    assert notes.summary() == "12 photos: 12 fetched"


def test_too_many_failures_end_in_a_message_and_the_next_call_goes_on(
    release: Release, host: Host, store: Store, notes: Notes
) -> None:
    for number in (0, 5):
        host.files[f"/photos/{photo_id(number)}_o.jpg"].failures = [(500, {})] * photos.ATTEMPTS
    mine = source(release)
    with pytest.raises(VisionkitError, match=r"2 of 12 images could not be fetched.*call again"):
        fetched(mine, store)
    assert notes.summary() == "12 photos: 10 fetched, 2 failed"
    assert not mine.folder(store.root).exists() and entries(store.root) == []
    release.asked_photos()
    assert count(fetched(mine, store)) == {"Sandwich": 6, "Hamburger": 6}
    assert sorted(release.asked_photos()) == sorted([photo_id(0), photo_id(5)])


def test_a_few_failures_among_many_photos_are_left_out(
    release: Release, host: Host, store: Store, notes: Notes
) -> None:
    for number in range(12, 24):
        release.put(number, PAIR[number % 2])
    host.files[f"/photos/{photo_id(0)}_o.jpg"].failures = [(500, {})] * photos.ATTEMPTS
    assert count(fetched(source(release), store)) == {"Sandwich": 11, "Hamburger": 12}
    assert notes.summary() == "24 photos: 23 fetched, 1 failed"


def test_a_lost_connection_is_noticed_early(
    release: Release, host: Host, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "FAILURES_IN_A_ROW", 3)
    for number in range(12):
        host.files[f"/photos/{photo_id(number)}_o.jpg"].failures = [(500, {})] * photos.ATTEMPTS
    with pytest.raises(VisionkitError, match=r"3 of .*the server answered 500"):
        fetched(source(release, parallel=1), store)
    assert len(release.asked_photos()) < 12 * photos.ATTEMPTS


def test_photos_have_a_greatest_size(
    release: Release, store: Store, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.put(70, "Sandwich", content=jpeg(picture([], 1)) + bytes(200_000))
    monkeypatch.setattr(photos, "LARGEST", 100_000)
    fetched(source(release), store)
    assert notes.summary() == "13 photos: 12 fetched, 1 too large"
    assert not list((store.root / "openimages" / "photos").rglob("*.part"))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_photos_that_lie_on_their_side_are_turned(degrees: int, release: Release, store: Store) -> None:
    upright = picture([], 1)
    upright.paste((250, 250, 250), (0, 0, SIZE[0], SIZE[1] // 2))
    stored = upright.rotate(-degrees, expand=True)
    exif = Image.Exif()
    exif[0x0112] = {0: 1, 90: 8, 180: 3, 270: 6}[degrees]
    content = jpeg(stored, exif=exif)
    photo = release.put(80, "Sandwich", box=(0, 1, 0, 1), content=content, Rotation=f"{degrees}.0")
    with Image.open(fetched(source(release), store) / "Sandwich" / f"{photo}_1.jpg") as cut:
        pixels = np.asarray(cut.convert("L"))
        assert cut.size == SIZE and not cut.getexif()
    assert pixels[: SIZE[1] // 2 - 8].min() > 200 and pixels[SIZE[1] // 2 + 8 :].max() < 180


def test_thumbnails_save_traffic_and_originals_stand_in(release: Release, host: Host, store: Store) -> None:
    for number in range(4):
        url = host.serve(f"/photos/{photo_id(number)}_z.jpg", jpeg(Image.new("RGB", (100, 80), (9, 9, 9))))
        release.photos[number]["Thumbnail300KURL"] = url
    release.photos[3]["Rotation"] = "90.0"
    folder = fetched(source(release, photos="thumbnail", min_side=20), store)
    small = [path for path in host.paths if path.endswith("_z.jpg")]
    assert len(small) == 3 and count(folder) == {"Sandwich": 6, "Hamburger": 6}
    with Image.open(folder / "Sandwich" / f"{photo_id(0)}_1.jpg") as cut:
        assert cut.size == (60, 48)
    assert fetched(source(release, min_side=20), store) != folder


def test_releases_differ_in_header_and_columns(release: Release, store: Store) -> None:
    release.descriptions = "LabelName,DisplayName\n" + release.descriptions
    release.more_columns = ("XClick1X", "XClick2X", "XClick3X", "XClick4X")
    release.photos[0]["Rotation"] = ""
    release.photos[1]["Rotation"] = "nan"
    assert count(fetched(source(release), store)) == {"Sandwich": 6, "Hamburger": 6}


def test_metadata_in_a_folder_is_used_in_place(release: Release, store: Store, tmp_path: Path) -> None:
    release.serve()
    mine = tmp_path / "mine"
    mine.mkdir()
    for path, served in release.host.files.items():
        if path.startswith("/2018_04/"):
            (mine / path.rpartition("/")[2]).write_bytes(served.content)
    folder = fetched(replace(source(release), metadata=str(mine)), store)
    assert count(folder) == {"Sandwich": 6, "Hamburger": 6}
    assert not [path for path in release.host.paths if path.startswith("/2018_04/")]
    (mine / "class-descriptions-boxable.csv").unlink()
    with pytest.raises(
        DataError, match=r"class-descriptions-boxable.csv of Open Images is not in this folder"
    ):
        replace(source(release), metadata=str(mine)).listing(store)


def test_metadata_is_read_in_parts(release: Release, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = names(fetched(source(release, per_class=4), store))
    monkeypatch.setattr(metadata, "ROWS_AT_A_TIME", 5)
    other = replace(store, root=store.root.with_name("other"))
    assert names(fetched(source(release, per_class=4), other)) == whole


def test_what_is_left_of_a_killed_call_is_replaced(release: Release, store: Store) -> None:
    mine = source(release)
    folder = mine.folder(store.root)
    cutting = folder.with_name(f".{folder.name}.cutting") / "Sandwich"
    cutting.mkdir(parents=True)
    (cutting / "half.jpg").write_bytes(b"half")
    journal = store.root / "openimages" / "photos" / "original" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text('{"id": "0", "url"')
    half = photos.photo_file(journal.parent, photo_id(1)).with_name(f".{photo_id(1)}.jpg.999.part")
    half.parent.mkdir()
    half.write_bytes(b"half")
    del release.host.files[f"/photos/{photo_id(0)}_o.jpg"]
    assert count(fetched(mine, store)) == {"Sandwich": 5, "Hamburger": 6}
    assert not cutting.exists() and not half.exists()
    release.asked_photos()
    fetched(source(release, margin=0.0), store)
    assert release.asked_photos() == [], "the dead link was remembered behind the broken line"


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("Sandwich", "Hamburgr"), "Did you mean 'Hamburger'"),
        (("Sandwich", "sandwich"), "two classes or more"),
        (("Sandwich", "Traffic light"), "there are no boxes of the class 'Traffic light'"),
    ],
)
def test_classes_that_cannot_be(
    classes: tuple[str, ...], message: str, release: Release, store: Store
) -> None:
    mine = source(release, *classes)
    with pytest.raises(VisionkitError, match=message):
        fetched(mine, store)
    assert not mine.folder(store.root).exists() and release.asked_photos() == []


def test_unknown_classes_cost_no_large_download(release: Release, store: Store) -> None:
    with pytest.raises(UsageError):
        fetched(source(release, "Sandwich", "Spaceship"), store)
    assert release.host.paths == ["/2018_04/class-descriptions-boxable.csv"]


def test_a_class_whose_photos_are_all_gone(release: Release, store: Store) -> None:
    for number in range(0, 12, 2):
        del release.host.files[f"/photos/{photo_id(number)}_o.jpg"]
    with pytest.raises(DataError, match=r"Sandwich: none of the 6 photos.*journal\.jsonl"):
        fetched(source(release), store)


def test_a_class_whose_boxes_are_all_small(release: Release, store: Store) -> None:
    release.put(90, "Traffic light", box=(0.1, 0.2, 0.1, 0.2))
    mine = source(release, "Sandwich", "Traffic light")
    with pytest.raises(DataError, match=r"Traffic light: no box is left \(1 too small.*--min-side"):
        fetched(mine, store)
    assert not list(mine.folder(store.root).parent.glob("[!.]*"))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("class-descriptions-boxable.csv", b"<html>\nlogin\n", "class 1 is not a label and a name"),
        ("train/train-annotations-bbox.csv", b"ImageID,LabelName\na,b\n", "XMin"),
        ("train/train-annotations-bbox.csv", b"\xff\xfe\x00", "cannot be read"),
        ("train/train-images-boxable-with-rotation.csv", b"", "cannot be read"),
    ],
)
def test_damaged_metadata_is_named(
    file: str, content: bytes, message: str, release: Release, store: Store
) -> None:
    mine = source(release)
    release.host.serve(f"/2018_04/{file}", content)
    with pytest.raises(DataError, match=message) as told:
        fetched(mine, store)
    assert file.rpartition("/")[2] in str(told.value) and "Delete" in str(told.value)


def test_damaged_numbers_and_ids_are_named(release: Release, store: Store) -> None:
    release.boxes[0]["XMin"] = "left"
    with pytest.raises(DataError, match=r"train-annotations-bbox\.csv: cannot be read .*left"):
        fetched(source(release), store)
    elsewhere = replace(store, root=store.root.with_name("elsewhere"))
    release.boxes[0] |= {"XMin": 0.2, "ImageID": "../../x"}
    with pytest.raises(DataError, match=r"'\.\./\.\./x' is not 16 hexadecimal digits"):
        fetched(source(release), elsewhere)


def test_the_list_is_a_tree_with_the_chosen_marked(release: Release, store: Store) -> None:
    release.descriptions += "/m/0zzzz,Unplaced\n"
    lines = source(release).listing(store).splitlines()
    text = {line.lstrip("│├└─ "): len(line) - len(line.lstrip("│├└─ ")) for line in lines}
    assert lines[0] == "Open Images: 5 classes"
    assert text["Food"] < text["Sandwich  ← chosen"] < text["Hamburger  ← chosen"]
    assert text["Traffic light  (part)"] == text["Sandwich  ← chosen"]
    assert text["Unplaced"] == text["Food"]


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real metadata is not there ({REAL_DATA})")
def test_the_real_hierarchy(store: Store) -> None:
    mine = OpenImages(("sandwich", "traffic light"), metadata=str(REAL_DATA / "openimages"))
    text = mine.listing(store)
    assert text.startswith("Open Images: 601 classes")
    known = metadata.Metadata(mine.metadata, store).classes()
    shown = {line.lstrip("│├└─ ").partition("  ")[0] for line in text.splitlines()[1:]}
    assert shown == set(known.values())
    assert text.count("Traffic light  ← chosen") == 1
