"""Finished runs without a training: the bundles that are kept in the tests, with a run.json beside them."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path
from typing import Any

from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, read_description
from visionkit.runs import Run

BUNDLES = Path(__file__).parent / "bundles" / "0.1.0"


def stored_bundle(folder: Path, task: str) -> Path:
    """The two files of a kept bundle in a new folder."""
    folder.mkdir(parents=True)
    shutil.copy(BUNDLES / task / DESCRIPTION_FILE, folder)
    (folder / WEIGHTS_FILE).write_bytes(lzma.decompress((BUNDLES / task / f"{WEIGHTS_FILE}.xz").read_bytes()))
    return folder


def stored_run(folder: Path, task: str, data: Path, **more: Any) -> Run:
    """A run folder with a kept bundle; `more` goes into its run.json."""
    stored_bundle(folder / "model", task)
    description = read_description(folder / "model")
    classes = {name: 10 + number for number, name in enumerate(description.vocab)}
    info: dict[str, Any] = {
        "name": folder.name,
        "recipe": description.recipe,
        "task": task,
        "status": "done",
        "created": "2026-11-21T10:00:00+00:00",
        "synthetic": False,
        "metrics": description.metrics,
        "settings": {"arch": description.network.arch, "pretrained": False, "seed": 42},
        "data": {"path": str(data), "train": 80, "valid": 20, "skipped": 0, "classes": classes},
        "stages": [
            {"number": 1, "size": 32, "epochs": 1, "frozen": False, "lr": 0.001},
            {"number": 2, "size": 64, "epochs": 3, "frozen": False, "lr": 0.0005},
        ],
        "device": "cpu",
        "precision": "fp32",
        "seconds": 61.0,
        "versions": description.versions,
    }
    (folder / "run.json").write_text(json.dumps(info | more))
    return Run.read(folder)
