"""The run folder: made, written so that a kill leaves the last complete state, and read back."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from visionkit.atomic import write_atomically
from visionkit.errors import UsageError, VisionkitError, nearest
from visionkit.run_files import read_info, read_table
from visionkit.visible import visible

CHECKPOINT_FOLDER, LOCK_FILE = "checkpoint", ".lock"
RUN_FILE, HISTORY_FILE, BATCHES_FILE = "run.json", "history.csv", "batches.csv"
_PAGE_FILE = "report.html"
BEFORE_METRICS = ("stage", "size", "epoch", "lr", "train_loss", "valid_loss")
_CLOSE_TRIES = 5
AFTER_METRICS = ("seconds", "images_per_s", "wait_percent")
"""Columns of history.csv; between them stand those of the task's metrics."""


class Run:
    """One training: its folder, and what run.json says.

    `info` holds name, recipe, task, status (running, interrupted, failed, done), synthetic, settings, data,
    stages, versions, device, precision, seconds, images_per_s and metrics.
    """

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info

    @classmethod
    def create(cls, folder: Path, info: Mapping[str, Any]) -> Run:
        """Make the run folder, with `info` and status "running" in its run.json."""
        folder.mkdir(parents=True, exist_ok=True)
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        process = {"pid": os.getpid(), "host": platform.node()}
        run = cls(
            folder,
            {"name": folder.name, **info, **process, "status": "running", "created": created, "metrics": {}},
        )
        try:
            run.update()
        except OSError:
            with suppress(OSError):  # nothing is in it but the lock, and so it would only be in the way
                shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
                folder.rmdir()
            raise
        return run

    @classmethod
    def read(cls, folder: Path) -> Run:
        """The run in `folder`.

        Raises:
            UsageError: there is none.
            VisionkitError: run.json is damaged; the message names the entry.
        """
        return cls(folder, read_info(folder / RUN_FILE))

    def update(self, **changes: Any) -> None:
        """Put `changes` into run.json."""
        self.info.update(changes)
        write_atomically(self.path / RUN_FILE, json.dumps(self.info, indent=2, default=str) + "\n")

    def close(self, **changes: Any) -> None:
        """Put `changes` into run.json where that can be written; what has ended a run may be a full disk.

        A loader process that dies meanwhile interrupts the writing, by torch's signal handler; so it is
        written again.
        """
        for _ in range(_CLOSE_TRIES):
            with suppress(OSError, RuntimeError):
                self.update(**changes)
                return

    @property
    def name(self) -> str:
        return str(self.info.get("name", self.path.name))

    @property
    def status(self) -> str:
        """running, interrupted, failed or done; a run whose process is gone without a word counts as
        interrupted.
        """
        status = str(self.info.get("status"))
        here, pid = self.info.get("host") == platform.node(), self.info.get("pid", 0)
        return "interrupted" if status == "running" and here and not _alive(pid) else status

    @property
    def metrics(self) -> dict[str, float]:
        """The final validation figures, by name; empty while the run is under way."""
        return dict(self.info.get("metrics", {}))

    @property
    def history(self) -> list[dict[str, str]]:
        """The rows of history.csv, one an epoch."""
        return read_table(self.path / HISTORY_FILE, BEFORE_METRICS)

    @property
    def batches(self) -> list[dict[str, str]]:
        """The rows of batches.csv, one a training batch: stage, learning rate, momentum, loss."""
        return read_table(self.path / BATCHES_FILE, ("stage", "lr", "mom", "loss"))

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"Run({self.path}, {self.info.get('status')}{', ' + figures if figures else ''})"

    def _repr_html_(self) -> str:
        """As a notebook shows it: name, status, figures, and a link to the report."""
        kind = ", on synthetic sample data" if self.info.get("synthetic") else ""
        parts = [f"<b>{escape(visible(self.name))}</b>: {escape(visible(self.status))}{kind}"]
        if self.metrics:
            heads = "".join(f"<th>{escape(visible(name))}</th>" for name in self.metrics)
            values = "".join(f"<td>{value:.4f}</td>" for value in self.metrics.values())
            parts.append(
                f'<table class="dataframe"><thead><tr>{heads}</tr></thead>'
                f"<tbody><tr>{values}</tr></tbody></table>"
            )
        report = self.path / _PAGE_FILE
        if report.is_file():
            parts.append(f'<a href="{escape(_address(report))}" target="_blank">{_PAGE_FILE}</a>')
        return f"<div>{''.join(parts)}</div>"


def _address(file: Path) -> str:
    """Where a page finds the file that is shown from the working folder: notebooks lie there, as a rule."""
    whole, here = file.resolve(), Path.cwd()
    return quote(whole.relative_to(here).as_posix()) if whole.is_relative_to(here) else whole.as_uri()


def _alive(pid: int) -> bool:
    """Whether there is a process of this number; on Windows, where asking would end it, always yes."""
    if os.name == "nt":
        return True
    if pid <= 0:  # these mean groups of processes
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep every other process from training in the run folder `folder`, which is made where it is missing.

    A process that is killed keeps nobody.

    Raises:
        VisionkitError: another process trains there.
    """
    place = folder / CHECKPOINT_FOLDER
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise VisionkitError(f"{folder}: another process trains this run. Wait for it, or stop it.") from None
    try:
        yield
    finally:
        lock.release()


def new_run_folder(recipe: str, root: Path, out: Path | None = None) -> Path:
    """Where the next run goes: `out` where given, else a new name in `root` such as
    planet-20261121-101500-3f2a.

    Raises:
        UsageError: `out` exists already and is no empty folder.
    """
    if out is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        return root / f"{recipe}-{stamp}-{secrets.token_hex(2)}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "holds a run" if (out / RUN_FILE).is_file() else "is there already, and is no empty folder"
        raise UsageError(f"--out {out}: {what}. Name a new folder; nothing was touched.")
    return out


def runs_in(root: Path) -> Iterator[Run]:
    """The runs in the folder `root`, oldest first; folders that cannot be read are left out."""
    found = []
    for file in root.glob(f"*/{RUN_FILE}"):
        try:
            found.append(Run.read(file.parent))
        except VisionkitError:
            continue
    yield from sorted(found, key=lambda run: (str(run.info.get("created", "")), run.name))


def find_run(name: str, root: Path) -> Run:
    """The run in the folder `name`, the one called `name` in `root`, or for "last" the newest in `root`.

    Raises:
        UsageError: there is no such run.
    """
    if (Path(name) / RUN_FILE).is_file():
        return Run.read(Path(name))
    runs = list(runs_in(root))
    if name == "last":
        if not runs:
            raise UsageError(f"there is no run in {root} yet. Train one: visionkit pets --sample")
        return runs[-1]
    for run in runs:
        if run.name == name:
            return run
    if Path(name).exists():
        return Run.read(Path(name))
    hint = nearest(name, [run.name for run in runs]) if runs else ""
    raise UsageError(f"there is no run {name!r} in {root}.{hint} See visionkit runs.")
