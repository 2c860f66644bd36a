"""Writing shards, each with its index beside it, so that nobody has to read it to find out what is in it."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from visionkit.atomic import atomic_file
from visionkit.errors import DataError
from visionkit.shards.index import BESIDE, encoded
from visionkit.shards.tars import samples


class Packed(NamedTuple):
    """An image that goes into a shard.

    Args:
        key: its name without an ending, which no other of the shard has.
        ending: of its file, such as "jpg".
        content: its bytes.
        label: its label, or its list of tags.
    """

    key: str
    ending: str
    content: bytes
    label: str | list[str]


def pack(images: Iterable[Packed], folder: Path, name: str, per_shard: int) -> list[Path]:
    """Write shards NAME-000000.tar, … with their indices into `folder`; they are whole or not there.

    Shards of 100 MB to 1 GB suit object stores. Images should be in random order: those of one shard are read
    together. The first shards are as full as `per_shard` says.

    Args:
        images: with their labels.
        folder: is there.
        name: how the files' names begin.
        per_shard: images in each.

    Raises:
        DataError: a key or label cannot be.
    """
    written: list[Path] = []
    waiting: list[Packed] = []
    for image in images:
        waiting.append(image)
        if len(waiting) == per_shard:
            written.append(_write(folder / f"{name}-{len(written):06d}.tar", waiting))
            waiting = []
    if waiting:
        written.append(_write(folder / f"{name}-{len(written):06d}.tar", waiting))
    return written


def _write(path: Path, images: list[Packed]) -> Path:
    with atomic_file(path, sync_folder=False) as out, tarfile.open(fileobj=out, mode="w") as tar:
        for image in images:
            if "." in image.key.rpartition("/")[2]:
                raise DataError(f"{path}: the key {image.key!r} has a dot, which ends keys in shards.")
            _add(tar, f"{image.key}.{image.ending}", image.content)
            if isinstance(image.label, str):
                _add(tar, f"{image.key}.cls", image.label.encode())
            else:
                _add(tar, f"{image.key}.json", json.dumps({"tags": image.label}).encode())
    with path.open("rb") as file:
        content = encoded(list(samples(file, str(path))), file, str(path))
    with atomic_file(path.with_name(path.name + BESIDE), sync_folder=False) as out:
        out.write(content)
    return path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    tar.addfile(about, BytesIO(content))
