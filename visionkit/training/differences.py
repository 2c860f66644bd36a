"""What run.json says of a training's code and machine, and what is otherwise here and now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, Field, ValidationError

from visionkit.devices import resolve_device
from visionkit.distributed.started import started_together
from visionkit.errors import UsageError, VisionkitError
from visionkit.models.architectures import find_architecture
from visionkit.runs import RUN_FILE, Run
from visionkit.setting_types import Precision
from visionkit.training.hardware import device_name, resolve_precision
from visionkit.training.record import machine
from visionkit.versions import code_fingerprint, git_changed, git_commit, versions

Effect = Literal["other results", "perhaps other digits", "none"]
UNRECORDED = "not recorded"


@dataclass(frozen=True)
class Difference:
    """Something that is not as it was when a run was trained.

    Args:
        what: "data", "recipe", "torch" …
        then: how it was.
        now: how it is.
        effect: on the results of training again; "none" where the run's own copy takes its place.
    """

    what: str
    then: str
    now: str
    effect: Effect


class RecordedData(BaseModel):
    """The data set of a run. Older runs lack `contents`."""

    path: Path
    train: int
    valid: int
    fingerprint: str
    contents: str | None = None


class RecordedFile(BaseModel):
    """A file that a setting named."""

    path: Path
    sha256: str | None


class RecordedMachine(BaseModel):
    """What a run was trained on; see `visionkit.training.record.machine`."""

    os: str
    processor: str
    device: str
    threads: int = Field(ge=1, le=4096)
    workers: int = Field(ge=0, le=4096)


class Record(BaseModel):
    """The part of run.json that a training can be repeated from. What older runs lack may be missing."""

    name: str
    recipe: str
    recipe_file: str | None = None
    recipe_sha256: str | None = None
    synthetic: bool
    settings: dict[str, Any]
    data: RecordedData
    device: str
    precision: Precision
    metrics: dict[str, float]
    versions: dict[str, str]
    git_commit: str | None = None
    git_changed: bool | None = None
    code: str | None = None
    files: dict[str, RecordedFile] = Field(default_factory=dict)
    machine: RecordedMachine | None = None
    batch_sizes: tuple[Annotated[int, Field(ge=2)], ...] = ()

    @classmethod
    def of(cls, run: Run, finished: bool = True) -> Record:
        """What `run` recorded.

        Args:
            run: of any version.
            finished: whether only a finished run will do.

        Raises:
            VisionkitError: it is not finished and has to be, or its run.json is damaged; the message names
                the entry.
        """
        if finished and run.info.get("status") != "done":
            raise VisionkitError(
                f"{run.path}: the run is {run.info.get('status', 'without a status')}, so that there are no "
                "final figures to reproduce. Only finished runs have."
            )
        try:
            record = cls.model_validate({**run.info, "name": run.name})
        except ValidationError as error:
            first = error.errors()[0]
            entry = ".".join(map(str, first["loc"]))
            raise VisionkitError(
                f"{run.path / RUN_FILE}: damaged, or of another version: entry {entry}: {first['msg']}."
            ) from None
        if finished and not record.metrics:
            raise VisionkitError(f"{run.path / RUN_FILE}: damaged: entry metrics: there are none.")
        return record


def usable_device(record: Record) -> str:
    """The device to train on: the run's where it is there, else "auto".

    Of several processes on GPUs each takes its own, whichever the first one had then.
    """
    if record.machine is None:
        return str(record.settings.get("device", "auto"))
    several = started_together() > 1 and record.machine.device.startswith("cuda")
    device = "cuda" if several else record.machine.device
    try:
        resolve_device(device)
    except UsageError:
        return "auto"
    return device


def usable_precision(record: Record, device: torch.device) -> Precision:
    """The run's number format where `device` can train in it, else "auto"."""
    try:
        return resolve_precision(record.precision, device)
    except UsageError:
        return "auto"


def machine_differences(record: Record, device: torch.device) -> Iterator[Difference]:
    """What of device, number format, system and processor is not as it was; threads and workers are set as
    they were.
    """
    precision = resolve_precision(usable_precision(record, device), device)
    if precision != record.precision:
        yield Difference("precision", record.precision, precision, "other results")
    if record.machine is None:
        yield Difference(
            "threads and workers", UNRECORDED, "as many as suit this machine", "perhaps other digits"
        )
        return
    now = machine(device, record.machine.workers)
    if record.machine.device.partition(":")[0] != device.type:
        yield Difference("device", record.device, device_name(device), "other results")
    elif device.type != "cpu" and record.device != device_name(device):
        yield Difference("device", record.device, device_name(device), "perhaps other digits")
    for name in ("os", "processor"):
        then = getattr(record.machine, name)
        if then != now[name]:
            yield Difference(name, then, now[name], "perhaps other digits")


def version_differences(record: Record, arch: str) -> Iterator[Difference]:
    """Packages and code that are not what they were."""
    here = versions()
    for package, then in record.versions.items():
        if package == "visionkit" or (package == "timm" and find_architecture(arch).library != "timm"):
            continue
        now = here.get(package, "not installed")
        if then != now:
            yield Difference(package, then, now, "perhaps other digits")
    code = code_fingerprint()
    if record.code != code:  # whatever the commits: they may have changes, or differ in other files
        then = _code(record.versions.get("visionkit"), record.git_commit, record.git_changed, record.code)
        now = _code(here.get("visionkit"), git_commit(), git_changed(), code)
        yield Difference("visionkit", then, now, "perhaps other digits")


def _code(version: str | None, commit: str | None, changed: bool | None, code: str | None) -> str:
    parts = [version or UNRECORDED]
    if commit:
        parts.append(f"commit {commit[:10]}" + (" with changes" if changed else ""))
    return ", ".join([*parts, f"code {code}" if code else f"code {UNRECORDED}"])
