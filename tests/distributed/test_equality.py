"""Several processes train as one does with the same batches: gradients, losses and metrics."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from started import call, torchrun

from visionkit.runs import Run

PROGRAM = Path(__file__).with_name("one_training.py")
STILL = 1e-12
"""A learning rate at which weights stay what they are, and so do the metrics of the validation."""
COMMON = {
    "size": 32,
    "then": (),
    "epochs": 1,
    "freeze_epochs": 0,
    "pretrained": False,
    "precision": "fp32",
    "device": "cpu",
    "html": False,
    "lr": STILL,
}
CASES = {
    "labels": ("pets", {"arch": "resnet18", "bs": 8, "valid_pct": 0.4}),
    "labels, weighted": (
        "pets",
        {"arch": "resnet18", "bs": 8, "class_weights": "auto", "workers": 2, "ema": 0.5},
    ),
    "tags": ("planet", {"arch": "resnet18", "bs": 9, "valid_pct": 0.45, "workers": 1}),
    "masks with void": ("camvid", {"arch": "small_vgg", "bs": 4, "size": 36}),
    "points": ("headpose", {"arch": "resnet18", "bs": 8, "size": 64}),
}


def trained(case: str, data: Path, folder: Path, count: int) -> tuple[Run, list[dict[str, torch.Tensor]]]:
    name, settings = CASES[case]
    words = [sys.executable] if count == 1 else torchrun(count)
    out = folder / str(count)
    done = call([*words, str(PROGRAM), name, str(data), str(out), json.dumps(COMMON | settings)], folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return Run.read(out), torch.load(f"{out}.gradients")


@pytest.mark.slow
@pytest.mark.parametrize(("case", "count"), [*((case, 2) for case in CASES), ("labels", 4), ("tags", 4)])
def test_as_in_one_process(case: str, count: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    recipe = CASES[case][0]
    data = request.getfixturevalue({"headpose": "heads"}.get(recipe, recipe))
    if recipe == "headpose":  # validation images are no whole batches then
        for file in (data / "13").glob("frame_0000[34]_*"):
            shutil.copy(file, str(file).replace("frame_0000", "frame_0002"))
    alone, gradients = trained(case, data, tmp_path, 1)
    together, shared = trained(case, data, tmp_path, count)
    for one, other in zip(gradients, shared, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            if values.dtype == torch.float64:
                torch.testing.assert_close(other[name], values, rtol=1e-5, atol=1e-5)
        apart, length = (
            torch.cat([values.flatten() for values in each])
            for each in ([other[name] - one[name] for name in one], one.values())
        )
        assert apart.norm() <= 1e-4 * length.norm(), "in single precision BatchNorm over few values is rough"
    losses = [[float(row["loss"]) for row in run.batches] for run in (alone, together)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for name, value in alone.metrics.items():
        assert together.metrics[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    first, second = (run.history[-1] for run in (alone, together))
    assert float(second["valid_loss"]) == pytest.approx(float(first["valid_loss"]), rel=1e-5)
    assert together.info["processes"] == count and "processes" not in alone.info
    assert together.info["data"] == alone.info["data"]
