"""`visionkit bench RECIPE`: its figures, complete and consistent, and what it leaves as it was."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FAST, SIZES, Cli
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

PARTS = ["decode", "augment", "copy", "forward", "backward", "optimiser", "other"]
PACES = ("loader", "step", "together")
BRIEF = ["--device", "cpu", "--seconds", "0.05"]


def measured(cli: Cli, recipe: str, folder: Path, *options: object) -> Result:
    size = SIZES.get(recipe, "32")
    return cli("bench", recipe, "--data", folder, "--size", size, "--then", "", *FAST, *BRIEF, *options)


def as_json(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def require_consistent(side: dict[str, Any]) -> None:
    """All figures are there, positive, and go together."""
    assert list(side["parts"]) == PARTS
    assert sum(part["share_percent"] for part in side["parts"].values()) == pytest.approx(100, abs=0.1)
    assert all(part["ms_per_image"] >= 0 for part in side["parts"].values())
    assert all(side["parts"][name]["ms_per_image"] > 0 for name in ("augment", "forward", "backward"))
    assert all(side[f"{name}_images_per_s"] > 0 for name in PACES)
    assert 0 <= side["wait_percent"] <= 100
    quotient = side["loader_images_per_s"] / side["step_images_per_s"]
    assert side["loader_per_step"] == pytest.approx(quotient, rel=2e-3)
    limits = {True: "the loader limits", False: "the step limits"}
    assert side["limit"].startswith((limits[quotient < 1], "loader and step are about"))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["pets", "planet", "camvid"], indirect=True)
def test_figures_are_complete_and_consistent(cli: Cli, dataset: tuple[str, Path]) -> None:
    recipe, folder = dataset
    found = as_json(measured(cli, recipe, folder, "--json"))
    assert found["recipe"] == recipe and found["bs"] == 4 and found["stage"] == "unfrozen"
    assert found["size"] == int(SIZES[recipe]) and found["arch"] == "squeezenet1_1"
    assert {"visionkit", "fastai", "torch"} <= set(found["versions"])
    assert list(found["sides"]) == ["visionkit"] and found["ratios"] == {}
    side = found["sides"]["visionkit"]
    require_consistent(side)
    assert side["cached"] and side["parts"]["decode"]["ms_per_image"] == 0
    assert side["decode_once_ms_per_image"] > 0
    assert not list(Path.cwd().iterdir()), "neither a run nor anything else is written"


def test_stock_fastai_is_measured_beside(cli: Cli, pets: Path) -> None:
    found = as_json(measured(cli, "pets", pets, "--against", "stock", "--precision", "bf16", "--json"))
    ours, stock = found["sides"]["visionkit"], found["sides"]["stock"]
    for side in (ours, stock):
        require_consistent(side)
    assert (ours["precision"], stock["precision"]) == ("bf16", "fp32")
    assert ours["cached"] and not stock["cached"] and stock["workers"] >= 1
    assert stock["parts"]["decode"]["ms_per_image"] > 0 and stock["decode_once_ms_per_image"] is None
    for name in PACES:
        quotient = ours[f"{name}_images_per_s"] / stock[f"{name}_images_per_s"]
        assert found["ratios"][name] == pytest.approx(quotient, rel=2e-3)


def test_without_the_cache_images_are_decoded_in_every_epoch(cli: Cli, pets: Path) -> None:
    side = as_json(measured(cli, "pets", pets, "--cache", "off", "--json"))["sides"]["visionkit"]
    require_consistent(side)
    assert not side["cached"] and side["parts"]["decode"]["ms_per_image"] > 0


@pytest.mark.parametrize("dataset", ["pets", pytest.param("camvid", marks=pytest.mark.slow)], indirect=True)
def test_parts_where_batches_are_augmented_on_the_device(
    cli: Cli, dataset: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from visionkit.loading import serving
    from visionkit.loading.on_device import DeviceTrainingFeed
    from visionkit.loading.uploading import Upload

    feeds: list[DeviceTrainingFeed] = []

    def as_on_a_gpu(*options: Any) -> DeviceTrainingFeed:
        feeds.append(DeviceTrainingFeed(*options))
        return feeds[-1]

    monkeypatch.setattr(serving, "training_feed", as_on_a_gpu)
    side = as_json(measured(cli, *dataset, "--json"))["sides"]["visionkit"]
    require_consistent(side)
    assert side["parts"]["copy"]["ms_per_image"] > 0
    assert feeds and all(isinstance(feed.upload, Upload) for feed in feeds), "the feed's own is back"


def test_stage_weights_and_batches_are_those_of_the_settings(cli: Cli, pets: Path) -> None:
    small = ("--size", 32, "--arch", "squeezenet1_1", "--workers", 0)
    settings = ("--epochs", 0, "--freeze-epochs", 1, "--bs", "auto")
    found = as_json(cli("bench", "pets", "--data", pets, *small, *settings, *BRIEF, "--json"))
    assert found["stage"] == "frozen", "the head alone is trained; and nothing was downloaded for that"
    assert found["bs"] == 2, "so that an epoch has as many steps as may be"
    options = ("--mixup", 0.4, "--ema", 0.9, "--weighted-sampling", "--against", "stock", "--json")
    for side in as_json(measured(cli, "pets", pets, *options))["sides"].values():
        require_consistent(side)


def test_prints_tables_and_what_limits(cli: Cli, planet: Path) -> None:
    result = measured(cli, "planet", planet, "--against", "stock")
    assert result.exit_code == 0, result.output
    rows = {line.strip().split("  ")[0] for line in result.stdout.splitlines()}
    expected = {"loader alone", "step, batch in memory", "both together", "wait for data", *PARTS}
    assert expected <= rows
    assert "not counted" in result.stdout, "the warm-up is said to be left out"
    told = [line for line in result.stdout.splitlines() if "limits:" in line or "about equally" in line]
    assert [line.split()[0] for line in told] == ["visionkit", "stock"]
    assert "measuring" not in result.stdout and "measuring" in result.stderr


def test_synthetic_images_are_said_to_be(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from visionkit.sources.samples import pets

    monkeypatch.setattr(pets, "PHOTOS_PER_BREED", 3)
    result = cli("bench", "pets", "--sample", "--size", 32, *FAST, *BRIEF)
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC" in result.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seconds", "0"], "--seconds 0: give a number above 0."),
        (["--seconds", "nan"], "--seconds nan: give a number above 0."),
        (["--against", "torch"], "--against torch: there is only stock fastai"),
        (["--arch", "resnet19"], "resnet19"),
        (["--precision", "fp16"], "--precision fp16: needs a CUDA GPU"),
        (["--epochs", "0,1"], "epochs has 3 numbers"),
        (["--bs", "1"], "--bs"),
    ],
)
def test_wrong_options_are_refused_in_one_message(
    cli: Cli, pets: Path, options: list[str], told: str
) -> None:
    result = measured(cli, "pets", pets, *options)
    assert result.exit_code == 2
    assert told in result.stderr and "Traceback" not in result.output
    assert len([line for line in result.stderr.splitlines() if "error" in line.lower()]) == 1
    assert result.stdout == ""


@pytest.mark.parametrize("side", ["visionkit", "stock fastai"])
def test_memory_that_runs_out_is_one_message(
    cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    from visionkit.benchmark import turns

    def short(of: Any, seconds: float) -> Any:
        if of.title == side:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return turns.Pace(1, 1.0)

    monkeypatch.setattr(turns, "loader_pace", short)
    monkeypatch.setattr(turns, "step_pace", short)
    result = measured(cli, "pets", pets, "--against", "stock")
    assert result.exit_code == 1
    assert "memory" in result.stderr and "batches of 4 images at 32 px" in result.stderr
    assert ("stock fastai ran out" in result.stderr) == (side != "visionkit")


@pytest.mark.slow
def test_random_states_and_settings_of_torch_are_put_back(pets: Path, tmp_path: Path) -> None:
    from visionkit.benchmark.bench import bench
    from visionkit.progress import Silence
    from visionkit.registry import get_recipe
    from visionkit.sources.base import Store

    recipe = get_recipe("pets")
    settings = recipe.resolved(
        size=32, arch="squeezenet1_1", pretrained=False, bs=4, workers=1, device="cpu", precision="fp32"
    )
    torch.manual_seed(7)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    threads = torch.get_num_threads()
    found = bench(
        recipe, settings, data=pets, seconds=0.01, against_stock=True, store=Store(tmp_path, Silence())
    )
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == before
    assert torch.get_num_threads() == threads
    assert [figures.side for figures in found.sides] == ["visionkit", "stock"]


def test_warm_up_is_not_counted() -> None:
    from visionkit.benchmark.pace import Stopwatch

    given = (100, 100, 100, 7, 8)
    watch = Stopwatch(torch.device("cpu"), 3600, warm_up=3)
    assert not any(watch.batch(images) for images in given)
    assert watch.runs and watch.images == 15, "the hour is not over"
    slow = Stopwatch(torch.device("cpu"), 0.0, warm_up=3)
    assert [slow.batch(images) for images in given] == [False, False, False, True, True]
    assert slow.images == 115, "a warm-up that takes too long ends after two batches"


@pytest.mark.parametrize("known", [True, False])
def test_how_busy_a_gpu_is_is_told_where_the_driver_tells(
    monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    from visionkit.benchmark import gpu

    asked = threading.Event()

    def utilization(device: torch.device) -> int:
        asked.set()
        if not known:
            raise RuntimeError("NVML is not there")
        return 40

    monkeypatch.setattr(gpu, "EVERY", 0.001)
    monkeypatch.setattr(gpu, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    with gpu.Utilisation(torch.device("cuda"), lambda: True) as utilisation:
        assert asked.wait(60)
    assert utilisation.percent == (40 if known else None)


positive = st.floats(1e-6, 1e6)


@given(st.lists(positive, min_size=7, max_size=7), positive, positive, positive)
def test_shares_and_limit_of_any_figures(
    seconds: list[float], loader: float, step: float, together: float
) -> None:
    from visionkit.benchmark.figures import Figures
    from visionkit.benchmark.pace import Pace

    paces = [Pace(1000, each) for each in (loader, step, together)]
    figures = Figures("visionkit", *paces, dict(zip(PARTS, seconds)), None, None, {})
    require_consistent(figures.as_json())
    assert sum(figures.shares.values()) == pytest.approx(100)


@given(positive)
def test_figures_are_rounded_to_what_counts(value: float) -> None:
    from visionkit.benchmark.figures import figure, shown

    assert figure(value) == pytest.approx(value, rel=5e-4)
    assert float(shown(value).replace(",", "")) == pytest.approx(value, rel=5e-3, abs=5.1e-3)
