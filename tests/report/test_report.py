"""`visionkit report`: one page that needs nothing else, for every task and for runs that lack something."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Cli, noise, train_fast
from PIL import Image

pytestmark = pytest.mark.usefixtures("unpainted")

MOST_BYTES = 5_000_000


class Page(HTMLParser):
    """Tags with their attributes, and all text outside of scripts and styles."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._within: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if self._within == ["script"]:
            self.scripts.append(data)
        elif not self._within:
            self.text += data + " "

    def all(self, name: str, **attributes: str) -> list[dict[str, str | None]]:
        return [
            found
            for tag, found in self.tags
            if tag == name and all(found.get(key) == value for key, value in attributes.items())
        ]


def assert_needs_nothing(page: Page, file: Path) -> None:
    """No address that a browser would fetch; small enough to be sent."""
    assert file.stat().st_size < MOST_BYTES
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "poster"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), address
    assert "@import" not in file.read_text() and "url(" not in file.read_text()
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"] or ""
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy
    assert page.all("html", lang="en") and page.all("main") and len(page.all("h1")) == 1


@pytest.mark.parametrize("dataset", ["pets", "planet", "camvid"], indirect=True)
def test_at_the_end_of_a_training(cli: Cli, dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    result = train_fast(cli, name, folder, "--out", "run", "--html")
    assert result.exit_code == 0, result.output
    file = Path("run/report.html")
    page = Page(file)
    assert_needs_nothing(page, file)
    info = json.loads(Path("run/run.json").read_text())
    figure = info["metrics"][info["headline"]]
    assert f"{figure:.4f}" in page.text, "the same figure as everywhere"
    assert "95 % interval" in page.text and "validation images" in page.text
    for word in (info["settings"]["arch"], info["versions"]["torch"], "visionkit.load"):
        assert word in page.text
    assert re.search(r"Nothing wrong was found|\d+ (warning|note|error)s?", page.text)
    assert ("Grad-CAM" in page.text) is (name != "camvid")
    vocab = json.loads(Path("run/model/model.json").read_text())["vocab"]
    assert all(word in page.text for word in vocab)
    charts = [tag["data-chart"] for tag in page.all("svg", **{"class": "chart"})]
    assert {"losses", "rates", "momentum", "speed"} <= set(charts)
    assert ("thresholds" in charts) is (name == "planet")
    assert bool(page.all("table", **{"class": "matrix"})) is (name == "pets")
    assert bool(page.all("input", type="range")) is (name == "camvid")
    assert len(page.all("img")) > 12
    data = json.loads(page.scripts[0])
    assert set(data["charts"]) >= set(charts)


def test_written_again_and_elsewhere(cli: Cli, pets: Path) -> None:
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    assert not Path("run/report.html").exists(), "the tests' trainings have --no-html"
    done = cli("report", "run")
    assert done.exit_code == 0 and done.stdout.strip() == "run/report.html", done.output
    first = Path("run/report.html").read_bytes()
    assert cli("report", "run", "--out", "page.html").exit_code == 0
    assert Path("page.html").read_bytes() == first, "the same run gives the same page"
    refused = cli("report", "run", "--out", "gone/page.html")
    assert refused.exit_code == 1 and "gone/page.html" in refused.output, refused.output


def test_a_figure_that_the_training_found_otherwise_is_told(cli: Cli, pets: Path) -> None:
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    assert cli("report", "run").exit_code == 0
    assert "end of the training" not in Page(Path("run/report.html")).text
    info = json.loads(Path("run/run.json").read_text())
    info["metrics"]["accuracy"] += 0.01
    Path("run/run.json").write_text(json.dumps(info))
    assert cli("report", "run").exit_code == 0
    told = f"{info['metrics']['accuracy']:.4f} at the end of the training"
    assert told in Page(Path("run/report.html")).text


def test_cells_show_their_images(cli: Cli, pets: Path) -> None:
    """Every button of the matrix has as many images as it counts, up to a dozen, each with a picture."""
    assert train_fast(cli, "pets", pets, "--out", "run", "--html").exit_code == 0
    page = Page(Path("run/report.html"))
    data = json.loads(page.scripts[0])
    buttons = [tag for tag in page.all("button") if "data-cell" in tag]
    assert (
        sum(int(tag["data-count"] or 0) for tag in buttons)
        == json.loads(Path("run/run.json").read_text())["data"]["valid"]
    )
    in_text = {tag["id"] for tag in page.all("img") if tag.get("id")}
    for tag in buttons:
        images = data["cells"][tag["data-cell"]]
        assert len(images) == min(12, int(tag["data-count"] or 0))
        for image in images:
            number = image["picture"]
            assert str(number) in data["pictures"] or f"picture-{number}" in in_text
            assert 0 <= image["probability"] <= 1


def test_key_points(cli: Cli, heads: Path) -> None:
    options = ["--size", "32", "--valid-person", "13", "--no-pretrained", "--arch", "squeezenet1_1"]
    options += ["--epochs", "1", "--freeze-epochs", "0", "--workers", "0", "--bs", "4", "--then", ""]
    result = cli("headpose", "--data", heads, *options, "--out", "run", "--html")
    assert result.exit_code == 0, result.output
    page = Page(Path("run/report.html"))
    assert_needs_nothing(page, Path("run/report.html"))
    assert "Largest errors" in page.text and "px off" in page.text
    assert page.all("ellipse")


def test_names_are_text(cli: Cli, tmp_path: Path) -> None:
    """Names of classes and files that would be markup, or end the script's data."""
    evil = "</script><img src=x onerror=alert(1)>&\"'"
    folder = tmp_path / "data"
    for part in ("train", "valid"):
        for number, name in enumerate((evil.replace("/", "∕"), "plain")):
            (folder / part / name).mkdir(parents=True)
            for index in range(4):
                stem = f"<b>{index}</b>".replace("/", "∕")
                picture = Image.fromarray(noise(10 * number + index, 40, 40) // 2 + 100 * number)
                picture.save(folder / part / name / f"{stem}.png")
    options = ["--size", "32", "--no-pretrained", "--arch", "squeezenet1_1", "--epochs", "1", "--then", ""]
    result = cli("folder", "--data", folder, *options, "--workers", 0, "--bs", 4, "--out", "run", "--html")
    assert result.exit_code == 0, result.output
    text = Path("run/report.html").read_text()
    assert "<img src=x" not in text and "<b>" not in text
    page = Page(Path("run/report.html"))
    assert "<img src=x onerror=alert(1)>" in page.text, "the name is there, as text"
    json.loads(page.scripts[0])


def test_a_run_whose_data_are_gone(cli: Cli, pets: Path) -> None:
    """Everything but pictures and intervals, and why."""
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    shutil.rmtree(pets)
    assert cli("report", "run").exit_code == 0
    page = Page(Path("run/report.html"))
    assert_needs_nothing(page, Path("run/report.html"))
    assert "Without pictures and intervals" in page.text and "no longer there" in page.text
    assert not page.all("img") and page.all("svg", **{"class": "chart"})


def test_a_run_that_was_broken_off(cli: Cli, pets: Path) -> None:
    """Its curves so far, and how to go on."""
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    info = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**info, "status": "interrupted", "metrics": {}}))
    shutil.rmtree("run/model")
    written = cli("report", "run")
    assert written.exit_code == 0, written.output
    page = Page(Path("run/report.html"))
    assert "visionkit resume run" in page.text and "interrupted" in page.text
    assert page.all("svg", **{"class": "chart"})


def test_many_classes(cli: Cli, tmp_path: Path) -> None:
    """Pairs that are confused most instead of a matrix that nobody can read."""
    folder = tmp_path / "many"
    for number in range(45):
        for part, count in (("train", 2), ("valid", 1)):
            (folder / part / f"class {number}").mkdir(parents=True)
            for index in range(count):
                picture = Image.fromarray(noise(100 * number + index + (part == "valid") * 50, 34, 34))
                picture.save(folder / part / f"class {number}" / f"{index}.jpg")
    options = ["--size", "32", "--no-pretrained", "--arch", "squeezenet1_1", "--epochs", "1", "--then", ""]
    result = cli("folder", "--data", folder, *options, "--workers", 0, "--bs", 8, "--out", "run", "--html")
    assert result.exit_code == 0, result.output
    page = Page(Path("run/report.html"))
    assert not page.all("table", **{"class": "matrix"}) and "What is confused most" in page.text
    assert 0 < len([tag for tag in page.all("button") if "data-cell" in tag]) <= 40


def test_no_room_for_pictures(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page stays whole, with fewer pictures."""
    from visionkit.report import page as module

    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    monkeypatch.setattr(module, "ROOM", 5_000)
    assert cli("report", "run").exit_code == 0
    page = Page(Path("run/report.html"))
    shown = sum(len(tag["src"] or "") for tag in page.all("img"))
    assert shown <= 5_000 and "Most wrong" in page.text


def test_a_report_that_cannot_be_written_costs_nothing(
    cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is done, and a line says how to have it."""
    from visionkit.report import page as module

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    result = train_fast(cli, "pets", pets, "--out", "run", "--html")
    assert result.exit_code == 0, result.output
    assert re.search(r"report +not written: .*visionkit report run writes it", result.output), result.output
    assert json.loads(Path("run/run.json").read_text())["status"] == "done"


def test_bad_input_is_one_message(cli: Cli) -> None:
    gone = cli("report", "nothing")
    assert gone.exit_code == 2 and "nothing" in gone.output and len(gone.output.strip().splitlines()) == 1


def test_help_says_what_it_does(cli: Cli) -> None:
    shown = cli("report", "--help")
    assert shown.exit_code == 0 and "--out" in shown.output and "--open" in shown.output
