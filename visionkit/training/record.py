"""What a training hangs on, for run.json: code, recipe, files that settings name, data, and the machine."""

from __future__ import annotations

import platform
from hashlib import blake2b, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from visionkit.checks.scan import scan_images
from visionkit.data.splits import SPLIT_FILE, relative_name
from visionkit.progress import Progress, Silence
from visionkit.training.hardware import resolve_workers
from visionkit.versions import code_fingerprint, git_changed, git_commit, versions

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.recipe import Recipe
    from visionkit.settings import TrainSettings

DRAWN_SPLITS = ("recipe", "random", "stratified", "folder")
_BLOCK = 1 << 20


def conditions(dataset: Dataset, device: torch.device) -> dict[str, Any]:
    """The entries of run.json that `visionkit reproduce` compares, besides settings and fingerprint.

    Called while torch computes with the threads of the training.
    """
    return {
        "recipe_sha256": recipe_digest(dataset.recipe),
        "files": named_files(dataset.settings, dataset.path),
        "versions": versions(),
        "git_commit": git_commit(),
        "git_changed": git_changed(),
        "code": code_fingerprint(),
        "machine": machine(device, resolve_workers(dataset.settings.workers, device)),
    }


def recipe_digest(recipe: Recipe) -> str | None:
    """SHA-256 of the file that defines `recipe`; None where it is in no file."""
    return file_digest(Path(recipe.datablock.__code__.co_filename))


def file_digest(file: Path) -> str | None:
    """SHA-256 of what is in `file`; None where it cannot be read."""
    digest = sha256()
    try:
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
    except (OSError, ValueError):  # a name that cannot be one
        return None
    return digest.hexdigest()


def named_files(settings: TrainSettings, folder: Path) -> dict[str, dict[str, str | None]]:
    """For each setting that names a file: its whole path and its SHA-256.

    Args:
        settings: of the training.
        folder: the data set's; names may be from there, or from the current folder.
    """
    found: dict[str, dict[str, str | None]] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == "split" and value not in DRAWN_SPLITS:
            value = Path(value)
        if not isinstance(value, Path):
            continue
        named = value.expanduser()
        places = [named, folder / named] if name in ("split", "skip", "weights") else [folder / named, named]
        for place in places:
            file = place / SPLIT_FILE if name == "split" and place.is_dir() else place
            if file.is_file():
                found[name] = {"path": str(file.resolve()), "sha256": file_digest(file)}
                break
    return found


def machine(device: torch.device, workers: int) -> dict[str, Any]:
    """What a training computes on, as far as the last digits of its figures hang on it."""
    libc = " ".join(platform.libc_ver())
    return {
        "os": f"{platform.system()} {libc if libc.strip() else platform.release()}",
        "processor": _processor(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "workers": workers,
    }


def _processor() -> str:
    """The processor's name and its widest vector instructions, which decide in which order is summed."""
    name = str(torch.cpu.get_capabilities().get("cpu_name", "")) or platform.processor()
    return f"{name} {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}".strip()


def contents_fingerprint(dataset: Dataset, memory: Path | None, progress: Progress | None = None) -> str:
    """A short hash over the bytes of all images and masks, which `Dataset.fingerprint` does not read.

    Args:
        dataset: its images and masks.
        memory: the file that remembers images, so that those seen before are not read again.
        progress: hears of images that have to be read.
    """
    if dataset.recipe.streamed:
        return _contents_of_shards(dataset)
    looks = scan_images(dataset.images, memory, progress or Silence())
    found = {relative_name(facts.path, dataset.path): facts.digest for facts in looks}
    if dataset.recipe.task == "segmentation":
        for mask in dict.fromkeys(map(Path, dataset.targets)):
            found[f"mask {relative_name(mask, dataset.path)}"] = blake2b(mask.read_bytes()).hexdigest()
    digest = sha256()
    for name, content in sorted(found.items()):
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _contents_of_shards(dataset: Dataset) -> str:
    """Over names, sizes and targets, and the digests that shards had when they were indexed."""
    from visionkit.shards.reading import digests_of

    digest = sha256(dataset.fingerprint().encode())
    for name, content in sorted(digests_of(dataset.images).items()):
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
