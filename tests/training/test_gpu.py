"""Trainings on a GPU, where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import SIZES, Cli

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]


@pytest.mark.parametrize("dataset", ["pets", "planet", "camvid"], indirect=True)
@pytest.mark.parametrize("precision", ["auto", "fp16", "fp32"])
def test_trains_on_the_gpu(cli: Cli, dataset: tuple[str, Path], precision: str) -> None:
    name, folder = dataset
    options = ["--arch", "resnet18", "--no-pretrained", "--bs", 4, "--workers", 0, "--freeze-epochs", 0]
    sizes = ["--size", SIZES[name], "--then", 48, "--epochs", 1, "--precision", precision]
    result = cli(name, "--data", folder, *options, *sizes, "--out", "run")
    assert result.exit_code == 0, result.output
    info = json.loads(Path("run/run.json").read_text())
    assert info["device"] == torch.cuda.get_device_name()
    assert info["precision"] in ("bf16", "fp16") if precision == "auto" else precision
    assert all(0 <= value <= 1 for value in info["metrics"].values())
