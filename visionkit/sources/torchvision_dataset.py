"""The data sets that torchvision knows how to download."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.errors import UsageError, VisionkitError, nearest
from visionkit.sources.base import Store
from visionkit.sources.class_folders import write_class_folders
from visionkit.sources.torchvision_downloads import Downloads, Failed

_REFUSED = {
    "ImageNet": "its terms must be accepted at https://image-net.org first",
    "CocoDetection": "torchvision reads it and does not download it; see https://cocodataset.org",
    "CocoCaptions": "torchvision reads it and does not download it; see https://cocodataset.org",
    "Kinetics": "it holds videos",
    "MovingMNIST": "it holds videos",
    "PCAM": "it lies in HDF5 files on Google Drive",
    "PhotoTour": "it holds patches without classes",
    "Middlebury2014Stereo": "it holds pairs of images",
    "SBU": "its million photos lie one by one on hosts of which many are gone",
    "LFWPeople": "its server is gone",
    "LFWPairs": "its server is gone",
    "StanfordCars": "its server is gone",
}
_CHOICES: dict[str, dict[str, Any]] = {"EMNIST": {"split": "balanced"}}
"""What torchvision leaves to the caller: of EMNIST's six, the one with 47 classes of as many images each."""

_SPLITS = ("train", "trainval", "val", "valid", "test")
"""Those that are fetched, beside a class's default; not the likes of "extra" and "unlabeled"."""
_FLAGS = {"train": ("train", "test"), "background": ("background", "evaluation")}
"""Splits that torchvision chooses by a flag: their names where it is true and where it is false."""

_Build = Callable[..., Any]


@dataclass(frozen=True)
class TorchvisionDataset:
    """A class of `torchvision.datasets` that can be downloaded and gives images with targets.

    Data sets that torchvision keeps as arrays (CIFAR, SVHN, STL10, USPS and the MNIST family) become PNG
    files in class folders: `train/CLASS/00001.png`, with the number that the image has in torchvision's
    order, from 1. The others keep the layout of what was unpacked, without folders that hold nothing but a
    folder.

    Args:
        key: the class's name, such as "CIFAR10".
    """

    key: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.key):
            raise UsageError(
                f"{self.name}: not a name of torchvision's; write one such as torchvision:CIFAR10."
            )

    @property
    def name(self) -> str:
        return f"torchvision:{self.key}"

    @property
    def url(self) -> str:
        return f"https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.{self.key}.html"

    @property
    def licence(self) -> str:
        return ""

    def folder(self, root: Path) -> Path:
        return root / "torchvision" / self.key

    def leftovers(self, root: Path) -> list[Path]:
        return [self.folder(root).with_name(".downloads") / self.key]

    def is_there(self, root: Path) -> bool:
        return self.folder(root).is_dir()

    def fetch(self, store: Store) -> Path:
        """The data set's folder; what was downloaded is kept until it is there.

        Raises:
            UsageError: torchvision has no such data set, or none that can be downloaded.
            VisionkitError: it cannot be fetched; the message says what to do.
        """
        folder = self.folder(store.root)
        if folder.is_dir():
            return folder
        build = self._class()
        store.progress.note(f"fetching   {self.name} with torchvision")
        work = folder.with_name(f".{self.key}.unfinished")
        downloads = Downloads(self.leftovers(store.root)[0], store)
        try:
            shutil.rmtree(work, ignore_errors=True)  # of a call that was killed
            (work / "raw").mkdir(parents=True)
            with downloads.instead_of_torchvisions():
                whole = self._make(build, work, downloads, store)
            whole.rename(folder)
            shutil.rmtree(downloads.folder, ignore_errors=True)
        except OSError as error:
            raise VisionkitError(
                f"{folder}: cannot be written ({error}). Mend that and call again."
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return folder

    def _class(self) -> _Build:
        from torchvision import datasets

        known = [name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))]
        if self.key not in known:
            same = [name for name in known if name.lower() == self.key.lower()]
            hint = f" Did you mean {same[0]!r}?" if same else nearest(self.key, known)
            raise UsageError(f"torchvision has no data set {self.key!r}.{hint}")
        found: _Build = getattr(datasets, self.key)
        reason = _REFUSED.get(self.key) or _shortcoming(found, _CHOICES.get(self.key, {}))
        if reason:
            raise UsageError(f"{self.name}: cannot be downloaded ({reason}). Name a folder with --data.")
        return found

    def _make(self, build: _Build, work: Path, downloads: Downloads, store: Store) -> Path:
        """Have torchvision download and read every split; the folder that is to be the data set."""
        raw = work / "raw"
        arrays = False
        for split, arguments in self._splits(build, raw, store):
            data_set = self._built(build, raw, arguments, downloads)
            if _is_of_arrays(data_set):
                arrays = True
                write_class_folders(data_set, work / "written" / split, f"{self.key} {split}", store.progress)
        if arrays:
            return work / "written"
        downloads.remove_archives()
        while len(inside := list(raw.iterdir())) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
            raw = inside[0]
        if not inside:
            raise VisionkitError(f"{self.name}: torchvision downloaded no file. Name a folder with --data.")
        return raw

    def _built(self, build: _Build, raw: Path, arguments: dict[str, Any], downloads: Downloads) -> Any:
        """An object of torchvision's class, which downloads what it needs."""
        try:
            return build(str(raw), download=True, **arguments)
        except VisionkitError:
            raise
        except Exception as error:
            if isinstance(error, Failed):
                raise error.reason from error
            if downloads.failure:  # a class that tries several servers tells of them in its own words
                raise downloads.failure from error
            if isinstance(error, OSError) and error.errno and not isinstance(error, FileNotFoundError):
                raise
            if not isinstance(error, ImportError):
                downloads.discard()  # for they do not have the checksum, or cannot be read
            reason = " ".join(str(error).split()) or type(error).__name__
            raise VisionkitError(
                f"{self.name}: torchvision cannot fetch it ({reason}). Mend that and call again, or name a "
                "folder that you have with --data."
            ) from error

    def _splits(self, build: _Build, raw: Path, store: Store) -> list[tuple[str, dict[str, Any]]]:
        """The splits to fetch: a name and what torchvision's class is called with."""
        parameters = _parameters(build)
        chosen = _CHOICES.get(self.key, {})
        for flag, names in _FLAGS.items():
            if flag in parameters:
                return [(name, {**chosen, flag: value}) for name, value in zip(names, (True, False))]
        if "split" not in parameters:
            return [("train", chosen)]
        default = parameters["split"].default
        there = _known_splits(build, raw) or [default]
        if {"train", "val"} <= set(there):
            there = [name for name in there if name != "trainval"]  # which is nothing more
        taken = [name for name in there if name in (default, *_SPLITS)]
        if left := [name for name in there if name not in taken]:
            store.progress.note(f"leaving    out {self.key}'s {', '.join(left)}")
        return [(name, {"split": name}) for name in taken]


def _shortcoming(build: _Build, chosen: dict[str, Any]) -> str:
    """Why this class of torchvision's cannot be used; empty where it can."""
    parameters = _parameters(build)
    if "download" not in parameters:
        return "torchvision reads it and does not download it"
    if not {"target_transform", "transforms"} & set(parameters):
        return "its items are not an image and a target"
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name != "root" and name not in chosen
    ]
    return f"torchvision wants to know {' and '.join(missing)}" if missing else ""


def _parameters(build: Any) -> dict[str, inspect.Parameter]:
    """What the class takes, and what its bases do where it hands the rest on to them."""
    found: dict[str, inspect.Parameter] = {}
    for base in inspect.getmro(build):
        if "__init__" not in vars(base) or base is object:
            continue
        own = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        found = {
            parameter.name: parameter for parameter in own if parameter.kind != parameter.VAR_KEYWORD
        } | found
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in own):
            break
    return found


def _known_splits(build: _Build, raw: Path) -> list[str]:
    """The splits that the class names when it is asked for one that cannot be; empty where it does not."""
    try:
        build(str(raw), split="-", download=False)
    except ValueError as error:
        told = str(error).partition("Valid values are")[2]
        return re.findall(r"'([^']+)'", told)
    except Exception:  # it looks for its files first
        return []
    return []


def _is_of_arrays(data_set: Any) -> bool:
    import numpy as np
    import torch

    return isinstance(getattr(data_set, "data", None), np.ndarray | torch.Tensor)
