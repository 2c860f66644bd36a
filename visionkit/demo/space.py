"""`visionkit demo RUN --space DIR`: a folder that runs as a Hugging Face Space, with all that it needs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import distribution, version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import visionkit
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, read_bundle
from visionkit.inference.description import Description

NEEDED = (
    "torch", "torchvision", "numpy", "pillow", "safetensors", "pydantic", "imagehash",
    "filelock", "typing_extensions",
)  # fmt: skip
"""Packages that the page and predictions import, besides those that Gradio brings."""
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc")


def write_space(
    folder: Path, model: Path, title: str, examples: Sequence[Path] = (), max_mb: float = 20.0
) -> None:
    """Write a Space: the page as app.py, the model, examples, and visionkit itself, which it imports.

    Whole or not at all.

    Args:
        folder: that is made; it must not be there, or be empty.
        model: the folder of the bundle.
        title: of the page.
        examples: images that the page offers; they are copied, with plain names.
        max_mb: megabytes that one image's file may have.

    Raises:
        UsageError: there is something in `folder`, or it cannot be written.
        VisionkitError: the bundle is damaged.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"--space {folder}: there is something already. Name a new folder; nothing was touched."
        )
    description = read_bundle(model).description
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        _fill(beside, model, description, title, examples, max_mb)
        beside.chmod(0o755)
        if folder.is_dir():
            folder.rmdir()
        os.replace(beside, folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _fill(
    folder: Path, model: Path, description: Description, title: str, examples: Sequence[Path], max_mb: float
) -> None:
    (folder / "model").mkdir()
    for name in (DESCRIPTION_FILE, WEIGHTS_FILE):
        shutil.copyfile(model / name, folder / "model" / name)
    (folder / "examples").mkdir()
    for place, example in enumerate(examples, start=1):
        shutil.copyfile(example, folder / "examples" / f"{place:02d}{example.suffix.lower()}")
    package = Path(visionkit.__file__).parent
    shutil.copytree(package, folder / "visionkit", ignore=_NOT_COPIED)
    if licence := distribution("visionkit").read_text("licenses/LICENSE"):
        (folder / "visionkit" / "LICENSE").write_text(licence, encoding="utf-8")
    packages = (*NEEDED, "timm") if description.network.arch.startswith("timm/") else NEEDED
    lines = [f"--extra-index-url {CPU_WHEELS}", *(f"{name}=={version(name)}" for name in packages)]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    templates = Environment(
        loader=PackageLoader("visionkit.demo"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = {
        "title": title,
        "task": description.task,
        "synthetic": description.synthetic,
        "examples": bool(examples),
        "max_bytes": round(max_mb * 1e6),
        "gradio_version": version("gradio"),
        "version": visionkit.__version__,
    }
    for name in ("app.py", "README.md"):
        text = templates.get_template(f"{name}.jinja").render(values)
        (folder / name).write_text(text + "\n", encoding="utf-8")
