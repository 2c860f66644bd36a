"""Reading a run folder's files, which may be damaged or come from anywhere: checked, and never executed."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from visionkit.errors import UsageError, VisionkitError

MAX_INFO, MAX_TABLE = 1 << 24, 1 << 25
"""Bytes of run.json, and of a table."""


@with_config(ConfigDict(extra="allow"))
class _Data(TypedDict, total=False):
    path: str
    train: int
    valid: int
    skipped: int
    classes: dict[str, int] | None
    fingerprint: str


@with_config(ConfigDict(extra="allow"))
class _Stage(TypedDict, total=False):
    number: int
    size: int
    name: str
    epochs: int
    frozen: bool
    lr: float | None
    lr_mult: float


@with_config(ConfigDict(extra="allow"))
class _Info(TypedDict, total=False):
    """What of run.json is used. All may be missing; runs of earlier versions lack some."""

    name: str
    recipe: str
    recipe_file: str | None
    task: str
    status: str
    created: str
    host: str
    pid: int
    synthetic: bool
    headline: str
    headline_lower_is_better: bool
    settings: dict[str, Any]
    data: _Data
    stages: list[_Stage]
    batch_sizes: list[int]
    metrics: dict[str, float]
    seconds: float | None
    images_per_s: float | None
    wait_percent: float | None
    error: str
    device: str
    precision: str
    versions: dict[str, str]
    machine: dict[str, Any]
    git_commit: str | None
    git_changed: bool | None
    code: str | None
    evaluations: dict[str, dict[str, Any]]
    exports: list[dict[str, Any]]
    submissions: list[dict[str, Any]]


_INFO = TypeAdapter(_Info)


class Entries(dict[str, Any]):
    """Entries of run.json: one that is asked for and missing is the file's fault, and its message says so."""

    def __init__(self, path: Path, within: str, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self.path, self.within = path, within

    def __missing__(self, name: str) -> Any:
        raise VisionkitError(
            f"{self.path}: damaged, or of another version: there is no entry {self.within}{name}."
        )


def read_info(path: Path) -> dict[str, Any]:
    """What the run.json at `path` says; entries that visionkit uses are of the types it writes.

    Raises:
        UsageError: there is no such file.
        VisionkitError: it is damaged; the message names the entry.
    """
    try:
        info = json.loads(read_regular(path, MAX_INFO))
    except FileNotFoundError:
        raise UsageError(f"{path.parent}: not a run folder (there is no {path.name} in it).") from None
    except RecursionError:
        raise VisionkitError(f"{path}: cannot be read (it is nested too deeply).") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VisionkitError(f"{path}: cannot be read ({reason[:300]}).") from error
    if not isinstance(info, dict):
        raise VisionkitError(f"{path}: cannot be read (it holds no JSON object).")
    try:
        _INFO.validate_python(info, strict=True)
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False)[0]
        entry = ".".join(map(str, first["loc"]))[:200]
        raise VisionkitError(
            f"{path}: damaged, or of another version: entry {entry}: {first['msg']}."
        ) from None
    if "data" in info:
        info["data"] = Entries(path, "data.", info["data"])
    if "stages" in info:
        info["stages"] = [Entries(path, "stages.", stage) for stage in info["stages"]]
    return Entries(path, "", info)


def is_file_name(name: str) -> bool:
    """Whether `name` is that of a file or folder in the run folder, and no path that leads elsewhere."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


def read_table(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table of numbers; none where there is no such file, or only a header.

    Args:
        path: a CSV file.
        needed: columns that it must have. All others hold numbers, too.

    Raises:
        VisionkitError: it is damaged; the message names the row.
    """
    try:
        text = read_regular(path, MAX_TABLE).decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VisionkitError(f"{path}: cannot be read ({reason[:300]}).") from error
    lacking = [name for name in needed if rows and name not in rows[0]]
    if lacking:
        raise VisionkitError(f"{path}: damaged: it has no column {lacking[0]}.")
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise VisionkitError(f"{path}: damaged: row {number} is not as long as the header.")
            if not _is_number(value):
                raise VisionkitError(
                    f"{path}: damaged: row {number}, column {name[:100]}: {value[:50]!r} is no number."
                )
    return rows


def _is_number(text: str) -> bool:
    """Whether it is one that a program may draw: also nan, which a training may end in."""
    try:
        return not math.isinf(float(text)) or text.strip("+-").lower().startswith("inf")
    except ValueError:
        return False


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises OSError or ValueError."""
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode):  # a pipe would block for ever
        raise ValueError("this is no regular file")
    if about.st_size > limit:
        raise ValueError(f"{about.st_size:,} bytes are too many for it")
    with path.open("rb") as file:
        return file.read(limit + 1)
