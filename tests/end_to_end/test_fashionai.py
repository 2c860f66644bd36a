"""The fashionai recipe through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FAST, Cli

from visionkit.data.fashionai import VALUES

pytestmark = pytest.mark.usefixtures("unpainted")

SMALL = ["--size", 32, *FAST]


def test_train_and_every_utility(cli: Cli, fashion: Path) -> None:
    options = ["--data", fashion, *SMALL]
    result = cli("fashionai", *options, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "27 training and 3 validation images" in result.output
    assert "average_precision" in result.output
    assert "attribute  skirt_length, 6 values; 10 of 30 photos have a maybe" in result.output
    bundle = json.loads(Path("run/model/model.json").read_text())
    assert bundle["vocab"] == list(VALUES["skirt_length"]), "all values, in the labels' order"
    assert Path("run/plots/balance.png").is_file() and not Path("run/plots/test.png").exists()
    assert cli("show", "fashionai", *options, "--out", "sheet.png").exit_code == 0
    assert cli("check", "fashionai", "--data", fashion).exit_code == 0
    assert cli("export", "run", "--to", "fastai").exit_code == 0
    submitted = cli("submit", "run")
    assert submitted.exit_code == 2 and "dogscats" in submitted.output


def test_another_attribute(cli: Cli, fashion: Path) -> None:
    table = fashion / "base" / "Annotations" / "label.csv"
    for number in range(2, 20):
        photo = fashion / "base" / "Images" / "pant_length_labels" / f"{number}.jpg"
        photo.write_bytes(
            (fashion / "base" / "Images" / "skirt_length_labels" / f"{number}.jpg").read_bytes()
        )
        with table.open("a") as file:
            letters = ("nnnnny", "ymnnnn")[number % 2]
            file.write(f"Images/pant_length_labels/{number}.jpg,pant_length_labels,{letters}\n")
    result = cli("fashionai", "--data", fashion, *SMALL, "--attribute", "pant_length", "--out", "run")
    assert result.exit_code == 0, result.output
    info = json.loads(Path("run/run.json").read_text())
    assert info["data"]["classes"] == {"Full": 10, "Invisible": 10}


def test_unknown_attribute(cli: Cli, fashion: Path) -> None:
    result = cli("fashionai", "--data", fashion, "--attribute", "skirt_lenght")
    assert result.exit_code == 2
    assert "--attribute" in result.output and "'skirt_length' is the nearest" in result.output
    result = cli("fashionai", "--data", fashion, "--attribute", "hat")
    assert result.exit_code == 2 and "neckline_design" in result.output


def test_without_data_the_page_is_named(cli: Cli) -> None:
    for call in (("fashionai",), ("data", "fashionai")):
        result = cli(*call)
        assert result.exit_code == 2
        assert "tianchi.aliyun.com/competition/entrance/231649" in result.output


def test_malformed_label(cli: Cli, fashion: Path) -> None:
    table = fashion / "base" / "Annotations" / "label.csv"
    table.write_text(table.read_text().replace("nymnnn", "nyynnn", 1))
    result = cli("fashionai", "--data", fashion, *SMALL)
    assert result.exit_code == 1 and "row 2" in result.output and "'nyynnn'" in result.output
    checked = cli("check", "fashionai", "--data", fashion, "--exclude", "skip.txt")
    assert "nyynnn" in checked.output
    assert Path("skip.txt").read_text() == "base/Images/skirt_length_labels/1.jpg\n"
    assert cli("fashionai", "--data", fashion, *SMALL, "--skip", "skip.txt", "--out", "run").exit_code == 0
