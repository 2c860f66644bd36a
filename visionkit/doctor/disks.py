"""Where visionkit writes, whether there is room, and what is there already: data sets and weights."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from visionkit.doctor.findings import Topic
from visionkit.progress import Silence, quantity
from visionkit.settings_file import SettingsFile

TOO_FULL, NEARLY_FULL = 100 * 10**6, 2 * 10**9
"""Bytes: a run with its model takes the first, and cannot do without; data sets take the second."""
FEW_FILES = 256


def disks(topic: Topic, file: SettingsFile) -> None:
    """The folders that trainings write to, with the room on their disks."""
    paths, store = file.paths(), file.store(Silence())
    _folder(topic, "runs", paths.runs, "name another folder as `runs` of [paths] in settings.ini", True)
    _folder(topic, "data", paths.data, "name another folder as `data` of [paths] in settings.ini", False)
    _folder(
        topic, "cache", store.cache_folder, "name another `folder` of [cache] in settings.ini, or --cache off"
    )
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:
        topic.wrong("no folder for temporary files can be written", "name one in $TMPDIR", stops=True)
    else:
        _folder(topic, "temporary files", temporary, "name another folder in $TMPDIR", True)
    _handles(topic)


def data_sets(topic: Topic, file: SettingsFile) -> None:
    """Which recipes' data sets are there."""
    from visionkit.registry import get_recipe, recipe_names
    from visionkit.sources.catalogue import entries

    root = file.paths().data
    known = {entry.name: entry for entry in entries(root)}
    for name in recipe_names():
        source = get_recipe(name).source
        if source is None:
            topic.add(name, "takes a folder of yours, with --data")
        elif (entry := known.get(source.name)) is not None:
            topic.add(name, f"{quantity(entry.bytes, 'bytes')} in {entry.folder}", entry.folder)
        else:
            topic.add(name, f"not fetched yet: visionkit data {name}", "")
    drawn = sum(entry.name.startswith("sample:") for entry in known.values())
    topic.add("drawn samples", str(drawn), drawn)


def weights(topic: Topic) -> None:
    """The ImageNet weights that torchvision's and timm's downloads left."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch").expanduser()
    files = sorted(file for file in (home / "hub" / "checkpoints").glob("*.pth") if file.is_file())
    _listed(topic, "torchvision", home / "hub" / "checkpoints", [file.stem for file in files])
    hub = Path(
        os.environ.get("HF_HUB_CACHE")
        or Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"
    )
    models = sorted(folder.name.removeprefix("models--timm--") for folder in hub.glob("models--timm--*"))
    _listed(topic, "timm", hub, models)


def _listed(topic: Topic, name: str, folder: Path, found: list[str]) -> None:
    told = ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
    topic.add(name, f"{told} in {folder}" if found else f"none in {folder}", ", ".join(found))


def _folder(topic: Topic, name: str, folder: Path, remedy: str, needed: bool = False) -> None:
    """What is to be said of a folder, which need not be there; `needed` is one that a training writes to."""
    folder = folder.absolute()
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    shown = f"{folder}{'' if there == folder else ' (not there yet)'}"
    if not there.is_dir():
        topic.add(name, f"{shown}: cannot be used")
        topic.wrong(f"{name}: {there} is no folder", remedy, stops=needed)
        return
    free = shutil.disk_usage(there).free
    written = os.access(there, os.W_OK | os.X_OK)
    topic.add(name, f"{shown}, {quantity(free, 'bytes')} free{'' if written else ', cannot be written'}")
    topic.values |= {f"{name} folder": str(folder), f"{name} free": free, f"{name} writable": written}
    if not written:
        topic.wrong(f"{name}: {there} cannot be written", f"change its permissions, or {remedy}", needed)
    elif free < TOO_FULL or _no_more_files(there):
        what = f"{name}: the disk of {folder} is full ({quantity(free, 'bytes')} free)"
        topic.wrong(what, f"make room, or {remedy}", stops=needed)
    elif free < NEARLY_FULL:
        what = f"{name}: the disk of {folder} has only {quantity(free, 'bytes')} free"
        topic.wrong(what, f"make room before a long training, or {remedy}")


def _no_more_files(folder: Path) -> bool:
    """Whether the disk keeps a count of files, and has none left."""
    if not hasattr(os, "statvfs"):
        return False
    about = os.statvfs(folder)
    return about.f_files > 0 and about.f_favail == 0


def _handles(topic: Topic) -> None:
    with suppress(ImportError):  # Windows has no such limit
        import resource

        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        topic.add("open files", "no limit" if limit == resource.RLIM_INFINITY else f"{limit} at most", limit)
        if limit != resource.RLIM_INFINITY and limit < FEW_FILES:
            topic.wrong(
                f"this process may open only {limit} files at once",
                f"ulimit -n {min(most, 4096) if most > 0 else 4096}",
                stops=limit < 64,
            )
