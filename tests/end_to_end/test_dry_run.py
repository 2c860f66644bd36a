"""`visionkit RECIPE --dry-run`: what would happen, and nothing that happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import FAST, SIZES, Cli


@pytest.mark.parametrize(
    "dataset", ["pets", "planet", pytest.param("camvid", marks=pytest.mark.slow)], indirect=True
)
def test_stages_and_times_without_a_run(cli: Cli, dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    options = ["--data", folder, "--size", SIZES[name], "--then", 48, *FAST]
    shown = cli(name, *options, "--dry-run")
    assert shown.exit_code == 0, shown.output
    text = shown.stdout
    assert "training and" in text and "squeezenet1_1, from scratch" in text
    for stage in (1, 2):
        assert re.search(
            rf"^stage {stage}    about [\d.]+ .*1 epoch of [\d.]+ .*images/s$", text, re.MULTILINE
        ), text
    assert re.search(r"^first pass about ", text, re.MULTILINE)
    assert re.search(r"^in all     about [\d.]+ .*nothing was trained$", text, re.MULTILINE)
    assert not list(Path().iterdir()), "neither a run nor anything else"
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


@pytest.mark.parametrize("dataset", ["planet"], indirect=True)
def test_a_recipe_whose_task_the_data_tell(cli: Cli, dataset: tuple[str, Path]) -> None:
    """csv finds tags; the step is timed with their loss."""
    options = ["--data", dataset[1], "--size", 32, "--arch", "squeezenet1_1", "--no-pretrained", "--bs", 4]
    shown = cli("csv", *options, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "multi-label" in shown.stdout and "in all     about" in shown.stdout


def test_data_that_are_not_there_are_not_fetched(cli: Cli) -> None:
    shown = cli("pets", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "would be fetched: fastai:PETS" in shown.stdout and "stage 1" in shown.stdout
    assert "Nothing was fetched or trained" in shown.stdout


def test_what_a_training_refuses_it_refuses(cli: Cli, pets: Path) -> None:
    options = ["--data", pets, "--size", 32, "--arch", "squeezenet1_1", "--no-pretrained", "--dry-run"]
    refused = cli("pets", *options, "--epochs", 0)
    assert refused.exit_code == 2 and "--epochs 0" in refused.output
    (pets / "images" / "Sphynx_1.jpg").write_bytes(b"no image")
    refused = cli("pets", *options)
    assert refused.exit_code == 1 and "Sphynx_1.jpg" in refused.output
