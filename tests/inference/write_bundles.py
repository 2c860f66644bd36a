"""Writes the bundles of the present release that later ones must read: tests/inference/bundles/VERSION/TASK.

    python tests/inference/write_bundles.py

Each is the `model/` of a real training of one epoch, whose weights are then reduced to a few distinct values,
so that they compress well. Beside `model.json` and `model.safetensors.xz` lie two images and what the model
says of them. A folder that is there is never written over: it is what a release wrote.
"""

from __future__ import annotations

import json
import lzma
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import visionkit
from visionkit.inference.bundle import write_description, write_weights
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, read_description
from visionkit.inference.results import (
    LabelPrediction,
    MaskPrediction,
    PointPrediction,
    Prediction,
    TagPrediction,
)

BUNDLES = Path(__file__).parent / "bundles"
RECIPES = {"single-label": "pets", "multi-label": "planet", "segmentation": "camvid", "keypoints": "headpose"}
SETTINGS: dict[str, Any] = {
    "arch": "small_vgg", "size": 32, "epochs": (1,), "workers": 0, "precision": "fp32", "device": "cpu"
}  # fmt: skip


def written(prediction: Prediction) -> Any:
    """What is compared: a label, tags, the codes of a mask, or points."""
    match prediction:
        case LabelPrediction():
            return prediction.label
        case TagPrediction():
            return list(prediction.tags)
        case MaskPrediction():
            return ["".join(chr(97 + code) for code in row) for row in prediction.codes]
        case PointPrediction():
            return prediction.points.round(4).tolist()


def reduced(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every kernel with three values only: a number, its negative, and 0."""
    for name, value in state.items():
        if value.ndim > 1:
            large = value.abs() > 0.7 * value.abs().mean()
            state[name] = value.sign() * large * value[large].abs().mean()
    return state


def write_one(task: str, recipe: str, folder: Path) -> None:
    """Train, reduce and write the bundle of one task."""
    work = Path(tempfile.mkdtemp(prefix="visionkit-bundle-"))
    run = visionkit.get_recipe(recipe).train(sample=True, out=work / "run", **SETTINGS)
    bundle = run.path / "model"
    weights = write_weights(bundle, reduced(load_file(bundle / WEIGHTS_FILE)))
    write_description(bundle, read_description(bundle).replaced(weights=weights))
    folder.mkdir(parents=True)
    images = sorted(Path(run.info["data"]["path"]).rglob("*.[jp][pn]g"))
    chosen = [image for image in images if not image.stem.endswith("_P")][:: max(1, len(images) // 3)][:2]
    model = visionkit.load(bundle, device="cpu")
    expected = []
    for number, image in enumerate(chosen):
        place = folder / f"{number}.png"
        model.preprocessing.read(image).save(place, optimize=True)
        outputs = model.outputs(model.preprocess(place)[None])
        sums = outputs.flatten(2).mean(dim=2)[0] if task == "segmentation" else outputs[0]
        expected.append(
            {
                "image": place.name,
                "outputs": sums.tolist(),
                "prediction": written(model.predict(place, own_size=False)),
            }
        )
    shutil.copyfile(bundle / DESCRIPTION_FILE, folder / DESCRIPTION_FILE)
    (folder / f"{WEIGHTS_FILE}.xz").write_bytes(lzma.compress((bundle / WEIGHTS_FILE).read_bytes(), preset=9))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    shutil.rmtree(work)


if __name__ == "__main__":
    torch.set_num_threads(1)
    release = BUNDLES / visionkit.__version__
    if release.exists():
        sys.exit(f"{release} is there already: what a release wrote is never written again.")
    for task_name, recipe_name in RECIPES.items():
        write_one(task_name, recipe_name, release / task_name)
