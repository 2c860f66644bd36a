"""`visionkit classify`: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
import torchvision
from conftest import Cli, noise
from PIL import Image
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A small network with random weights, as options."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(torchvision.models.get_model("squeezenet1_1", weights=None).state_dict(), file)
    return ["--arch", "squeezenet1_1", "--weights", str(file), "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(noise(number, 50, 40)).save(folder / f"{number}.png")
    return folder


def test_table(cli: Cli, network: list[str], photos: Path) -> None:
    Image.fromarray(noise(5, 30, 30)).save(photos / "odd\x1b[31m\nname.png")
    result = cli("classify", photos, *network, "--top", 2)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "probability  class  label" and lines[1] == str(photos / "0.png")
    assert len(lines) == 1 + 4 * 3
    assert "odd\\x1b[31m\\nname.png" in result.stdout and "\x1b" not in result.stdout
    number, label = lines[2].split(maxsplit=2)[1:]
    assert torchvision.models.SqueezeNet1_1_Weights.DEFAULT.meta["categories"][int(number)] == label
    assert "SqueezeNet1_1_Weights.IMAGENET1K_V1" in result.stderr


def test_json(cli: Cli, network: list[str], photos: Path) -> None:
    (photos / "bad.png").write_text("no image")
    result = cli("classify", photos, photos / "gone.png", *network, "--json", "--bs", 2)
    assert result.exit_code == 1
    answers = json.loads(result.stdout)
    assert [answer["image"] for answer in answers] == [str(photos / f"{number}.png") for number in range(3)]
    assert all(len(answer["top"]) == 5 for answer in answers)
    assert set(answers[0]["top"][0]) == {"class", "label", "probability"}
    probabilities = [each["probability"] for each in answers[0]["top"]]
    assert probabilities == sorted(probabilities, reverse=True) and 0 < probabilities[0] <= 1
    assert f"{photos / 'bad.png'}: this is not an image" in result.stderr
    assert f"{photos / 'gone.png'}: there is no such file" in result.stderr
    assert "2 of 5 images could not be classified" in result.stderr


def test_files_hold_the_same(cli: Cli, network: list[str], photos: Path) -> None:
    printed = json.loads(cli("classify", photos, *network, "--json").stdout)
    for ending in ("csv", "json", "jsonl"):
        result = cli("classify", photos, *network, "--out", f"answers.{ending}")
        assert result.exit_code == 0 and result.stdout == f"answers.{ending}\n", result.output
    assert json.loads(Path("answers.json").read_text()) == printed
    assert [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()] == printed
    with open("answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    flat = [(answer["image"], each["label"]) for answer in printed for each in answer["top"]]
    assert [(row["image"], row["label"]) for row in rows] == flat
    assert [row["rank"] for row in rows[:5]] == list("12345")
    again = cli("classify", photos, *network, "--out", "answers.csv")
    assert again.exit_code == 2 and "is there already" in again.stderr
    assert sorted(file.name for file in Path().iterdir()) == ["answers.csv", "answers.json", "answers.jsonl"]


def test_list_on_standard_input(network: list[str], photos: Path) -> None:
    from visionkit.cli.app import app

    def call(text: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, ["classify", "-", *network, "--json"], input=text)
        return done.exit_code, done.stdout, done.stderr

    code, output, errors = call(f"{photos / '1.png'}\r\n\n{photos / '0.png'}\n")
    assert code == 0, errors
    assert [Path(answer["image"]).name for answer in json.loads(output)] == ["1.png", "0.png"]
    code, _, errors = call("\n")
    assert code == 2 and "names no image" in errors


def test_nothing_usable_needs_no_weights(cli: Cli) -> None:
    """No weights are at hand here, and none are asked for."""
    result = cli("classify", "gone.jpg", "nothing*", "--json", "--out", "x.csv")
    assert result.exit_code == 2 and "give one of them" in result.stderr
    result = cli("classify", "gone.jpg", "nothing*", "--out", "x.csv")
    assert result.exit_code == 1 and result.stdout == "" and not Path("x.csv").exists()
    assert "gone.jpg: there is no such file" in result.stderr and "no file matches" in result.stderr
    assert json.loads(cli("classify", "gone.jpg", "--json").stdout) == []


def test_a_download_says_nothing_among_the_answers(
    cli: Cli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download_url_to_file(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download_url_to_file)
    result = cli("classify", photos, "--arch", "alexnet", "--json")
    assert result.exit_code == 1 and "no route to host" in result.stderr, result.output
    assert result.stdout == ""


def test_the_beginning_of_a_name_finds_the_names_that_begin_so(cli: Cli, photos: Path) -> None:
    result = cli("classify", photos, "--arch", "mobilenet_v3")
    assert result.exit_code == 2
    assert "Did you mean 'mobilenet_v3_large' or 'mobilenet_v3_small'" in result.stderr


def test_wrong_calls(cli: Cli, photos: Path) -> None:
    for options, words in {
        ("--arch", "vgg15"): "Did you mean",
        ("--out", "x.txt"): ".csv",
        ("--out", "none/x.csv"): "there is no folder",
        ("--weights", "x.pth"): "no such file",
        ("--device", "tpu"): "--device tpu",
        ("--top", "0"): "--top",
    }.items():
        result = cli("classify", photos, *options)
        assert result.exit_code == 2 and words in result.stderr, result.output
        assert "Traceback" not in result.output
