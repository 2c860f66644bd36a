"""The JSON file of a benchmark's results, with what they were measured on."""

from __future__ import annotations

import json
import os
import platform
from argparse import Namespace
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("visionkit", "fastai", "torch", "torchvision", "timm", "pillow", "opencv-python-headless")


def about(device: str = "cpu") -> dict[str, Any]:
    """The machine and the versions."""
    told: dict[str, Any] = {"date": str(date.today()), "cpus": os.cpu_count(), "device": device}
    told |= {"python": platform.python_version(), "load_average": round(os.getloadavg()[0], 1)}
    if device != "cpu":
        import torch

        told["gpu"] = torch.cuda.get_device_name(device)
    return told | {name: found for name in PACKAGES if (found := _version(name))}


def code() -> str:
    """What tells visionkit's source of this moment from that of another, 12 hexadecimal digits."""
    import visionkit

    digest = sha256()
    for file in sorted(Path(visionkit.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def settings(options: Namespace) -> dict[str, Any]:
    """What the program was called with, without paths."""
    return {name: value for name, value in vars(options).items() if not isinstance(value, Path)}


def write(path: Path | None, content: Mapping[str, Any]) -> None:
    """Write `content` to `path`, as a whole or not at all; nothing where there is no path."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(json.dumps(content, indent=2) + "\n")
    beside.replace(path)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
