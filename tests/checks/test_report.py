"""The report as rows, as JSON and as a page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from checks.pictures import clean_folder, save
from conftest import REAL_DATA

from visionkit.checks.facts import ImageFacts
from visionkit.checks.labels import Balance
from visionkit.checks.page import MOST_FILES, render_page, write_page
from visionkit.checks.report import CheckReport, check_dataset, check_folder, summary_rows
from visionkit.data.dataset import Dataset
from visionkit.data.problems import Problem, gathering
from visionkit.errors import VisionkitError
from visionkit.progress import Silence
from visionkit.registry import get_recipe
from visionkit.visible import visible


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    folder = clean_folder(tmp_path / "data")
    for name in ("a", "b", "c"):
        (folder / "train" / "cat" / f"{name}.jpg").touch()
    (folder / "valid" / "dog" / "leak.jpg").write_bytes((folder / "train/dog/dog_1.jpg").read_bytes())
    return folder


def checked(folder: Path) -> CheckReport:
    return check_folder(folder, None, Silence())


def test_rows_are_one_a_kind_the_gravest_first(faulty: Path) -> None:
    rows = summary_rows(checked(faulty))
    assert [row[:3] for row in rows] == [("error", "empty file", 3), ("warning", "leak", 2)]
    assert rows[0][3].startswith("train/cat/a.jpg: ") and rows[0][3].endswith("(And 2 more.)")


def test_json_has_stable_keys_and_relative_paths(faulty: Path) -> None:
    content = json.loads(json.dumps(checked(faulty).as_json()))
    assert list(content) == [
        "format",
        "path",
        "recipe",
        "remark",
        "counts",
        "problems",
        "balance",
        "pixel_share",
        "duplicates",
        "excluded",
    ]
    assert content["format"] == 1 and content["recipe"] is None and content["path"] == str(faulty)
    assert content["problems"][0] | {"message": ""} == {
        "kind": "empty file",
        "severity": "error",
        "message": "",
        "files": ["train/cat/a.jpg"],
    }
    assert content["duplicates"] == [
        {
            "kind": "exact",
            "crosses": True,
            "contradicts": False,
            "files": [
                {"file": "valid/dog/leak.jpg", "part": "valid", "label": "dog"},
                {"file": "train/dog/dog_1.jpg", "part": "train", "label": "dog"},
            ],
        }
    ]
    assert content["excluded"] == [f"train/cat/{name}.jpg" for name in "abc"] + ["train/dog/dog_1.jpg"]
    assert content["balance"][0] == {"name": "cat", "train": 15, "valid": 3, "other": 0}


def test_a_copy_of_a_file_with_an_error_is_kept() -> None:
    from visionkit.checks.duplicates import find_duplicates

    paths = [Path("/data/a.png"), Path("/data/b.png")]
    groups = find_duplicates([ImageFacts(path, 1, digest="same") for path in paths], {}, {})
    report = CheckReport(
        Path("/data"), None, {}, [Problem("missing mask", "error", "…", (paths[0],))], duplicates=groups
    )
    assert report.excluded() == [paths[0]]


def test_nothing_is_changed_or_deleted(faulty: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in faulty.rglob("*")}

    before = state()
    report = checked(faulty)
    render_page(report)
    report.excluded()
    assert state() == before


class Tags(HTMLParser):
    """Counts elements, and gathers text and the addresses of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.open: list[str] = []
        self.text = ""
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def test_the_page_needs_nothing_else(faulty: Path, tmp_path: Path) -> None:
    write_page(checked(faulty), tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    tags = parsed(page)
    assert tags.counts["h1"] == 1 and "script" not in tags.counts and "link" not in tags.counts
    assert len(tags.pictures) == 2 and all(src.startswith("data:image/jpeg;base64,") for src in tags.pictures)
    assert "1 error, 1 warning" in tags.text
    for text in ("train/cat/c.jpg", "valid/dog/leak.jpg", "leak", "empty file"):
        assert text in tags.text
    assert "http://" not in page and "https://" not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["check.html", "data"]


def test_a_clean_report_says_so(tmp_path: Path) -> None:
    report = checked(clean_folder(tmp_path / "data"))
    assert summary_rows(report) == []
    tags = parsed(render_page(report))
    assert "Nothing wrong was found" in tags.text and "Problems" not in tags.text


NASTY = "<script>alert(1)</script>&\x07\u202e\udce9\n"


def test_names_are_escaped_and_control_characters_made_visible(tmp_path: Path) -> None:
    file = tmp_path / f"{NASTY}.jpg"
    report = CheckReport(
        tmp_path / NASTY,
        NASTY,
        {"images": 1, "train": 0, "valid": 0, "classes": 1, "bytes": 1, "seconds": 0.1},
        [Problem(NASTY, "error", f"{NASTY}: bad", (file,))],
        [Balance(NASTY, 1, 2)],
    )
    write_page(report, tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    tags = parsed(page)
    assert "script" not in tags.counts
    assert r"<script>alert(1)</script>&\x07\u202e\udce9\n" in tags.text
    assert not {"\x07", "\u202e", "\udce9"} & set(page)
    assert visible("plain naïve 名前") == "plain naïve 名前"


def test_long_lists_are_cut_and_say_so(tmp_path: Path) -> None:
    files = tuple(tmp_path / f"file_{number}.jpg" for number in range(1000))
    report = CheckReport(
        tmp_path,
        None,
        {"images": 1000, "train": 0, "valid": 0, "classes": 1000, "bytes": 1, "seconds": 0.1},
        [Problem("CMYK", "note", "many", files)],
        [Balance(f"class_{number}", number, 0) for number in range(1000)],
    )
    tags = parsed(render_page(report))
    assert tags.counts["li"] == MOST_FILES + 1
    assert "… and 800 more" in tags.text and "800 between them are left out" in tags.text


def test_a_picture_that_is_gone_is_left_out(faulty: Path) -> None:
    report = checked(faulty)
    (faulty / "valid" / "dog" / "leak.jpg").unlink()
    assert len(parsed(render_page(report)).pictures) == 1


def test_a_page_that_cannot_be_written_is_one_message(faulty: Path, tmp_path: Path) -> None:
    with pytest.raises(VisionkitError, match="cannot be written"):
        write_page(checked(faulty), tmp_path / "gone" / "check.html")


def recipe_check(name: str, folder: Path) -> CheckReport:
    recipe = get_recipe(name)
    with gathering() as gathered:
        dataset = Dataset.find(recipe, recipe.resolved(), folder)
    return check_dataset(dataset, gathered, None, Silence())


def test_rows_and_files_of_a_recipe(planet: Path) -> None:
    table = planet / "train_v2.csv"
    table.write_text(table.read_text() + "train_77,clear\n")
    save(planet / "train-jpg" / "orphan.jpg", 1)
    found = {each.kind: each for each in recipe_check("planet", planet).problems}
    assert "CMYK" in found and len(found["CMYK"].files) == 20
    errors = [each for each in found.values() if each.severity == "error"]
    assert any("train_77" in each.message for each in errors)
    assert any("orphan.jpg" in each.message for each in errors)


def test_labels_of_a_recipe(pets: Path) -> None:
    report = recipe_check("pets", pets)
    assert [each.name for each in report.balance] == ["Abyssinian", "Sphynx", "german_shorthaired"]
    assert sum(each.total for each in report.balance) == 24
    assert "few images" in {each.kind for each in report.problems}


def real(name: str) -> Path:
    if not (REAL_DATA / name).is_dir():
        pytest.skip(f"{REAL_DATA / name} is not there")
    return REAL_DATA / name


@pytest.fixture(scope="module", autouse=True)
def _real_data_stays_as_it_is() -> Iterator[None]:
    before = sorted(os.listdir(REAL_DATA)) if REAL_DATA.is_dir() else []
    yield
    assert before == (sorted(os.listdir(REAL_DATA)) if REAL_DATA.is_dir() else [])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("pets", {"not in validation"}),
        ("planet", {"tag that occurs once", "few images", "not in validation", "CMYK", "imbalance"}),
        ("camvid", {"near duplicates"}),
    ],
)
def test_real_data_has_only_what_it_truly_has(name: str, kinds: set[str]) -> None:
    report = recipe_check(name, real(name))
    assert {each.kind for each in report.problems} == kinds
    assert report.excluded() == []


@pytest.mark.real_data
def test_real_dogs_and_cats_have_no_problem() -> None:
    report = checked(real("dogscats"))
    assert report.counts["images"] == 400 and report.problems == []
