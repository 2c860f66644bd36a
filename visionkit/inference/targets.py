"""Where answers are written: a file or a folder, what it was begun with, and which images have failed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from visionkit import __version__
from visionkit.atomic import write_atomically
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.growing_files import csv_record, csv_records

if TYPE_CHECKING:
    from visionkit.inference.description import Description

Ending = Literal[".csv", ".jsonl", ".parquet"]
ENDINGS: tuple[Ending, ...] = (".csv", ".jsonl", ".parquet")
FOLDER_TASKS = {"segmentation": "shares.csv", "keypoints": "points.csv"}
"""Tasks that can write a folder with files for each image, and the table in it."""
_LONG_NAMES = {"images": "list of images", "shards": "number of shards"}


@dataclass(frozen=True)
class Target:
    """What one `--out` means.

    Args:
        out: as it was given.
        table: the file with a row for each image; a folder for Parquet.
        ending: of the table.
        folder: where files for each image go; None where there are none.
    """

    out: Path
    table: Path
    ending: Ending
    folder: Path | None = None

    @property
    def record(self) -> Path:
        """Says what the table was begun with."""
        return self.folder / "predict.json" if self.folder else beside(self.table, "predict.json")

    @property
    def failed(self) -> Path:
        """Lists the images that could not be used, with the reason."""
        return self.folder / "failed.csv" if self.folder else beside(self.table, "failed.csv")

    @property
    def place(self) -> Path:
        """What one process at a time writes to."""
        return self.out

    @property
    def begun(self) -> bool:
        """Whether somebody has begun it."""
        return os.path.lexists(self.table)


class ShardTarget(Target):
    """A part of a folder of Parquet files that many processes write to, each to a folder of its own in it.

    All have one record, that of the whole. What else belongs to a shard has a name with `_` in front: readers
    of Parquet pass by such files.
    """

    @property
    def record(self) -> Path:
        return beside(self.out, "predict.json")

    @property
    def failed(self) -> Path:
        return self._own("failed.csv")

    @property
    def manifest(self) -> Path:
        """Says what is in the shard, once it is whole."""
        return self._own("manifest.json")

    @property
    def tars(self) -> Path:
        """Says how many images are in each tar file of the shard that was looked at."""
        return self._own("tars.jsonl")

    @property
    def place(self) -> Path:
        return self.table

    @property
    def begun(self) -> bool:
        return os.path.lexists(self.out)

    def _own(self, ending: str) -> Path:
        return self.table.with_name(f"_{self.table.name}.{ending}")


def beside(table: Path, ending: str) -> Path:
    """A file next to `table` that belongs to it."""
    return table.with_name(f"{table.name}.{ending}")


def target_of(out: Path, task: str) -> Target:
    """What `out` means for a model of this task.

    Raises:
        UsageError: nothing can be written there.
    """
    out = out.expanduser()
    ending = next((each for each in ENDINGS if out.suffix.lower() == each), None)
    if ending is None and task not in FOLDER_TASKS:
        raise UsageError(f"--out {out}: name a file that ends in {', '.join(ENDINGS)}.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}.")
    if ending is not None:
        target = Target(out, out, ending)
        if os.path.lexists(out) and out.is_dir() != (ending == ".parquet"):
            kind = "a folder of parts" if ending == ".parquet" else "a file"
            raise UsageError(f"--out {out}: this would be {kind}, and there is something else.")
        taken = os.path.lexists(out)
    else:
        target = Target(out, out / FOLDER_TASKS[task], ".csv", out)
        if os.path.lexists(out) and not out.is_dir():
            raise UsageError(f"--out {out}: this would be a folder, and there is something else.")
        taken = out.is_dir() and any(out.iterdir())
    if taken and not target.record.is_file():
        raise UsageError(
            f"--out {out}: is there already, and there is no {target.record.name} that would say which model "
            "wrote it. Name a new one; nothing was touched."
        )
    return target


@contextmanager
def alone(target: Target, patience: float = 0) -> Iterator[None]:
    """While this process writes to the target, no other does.

    Args:
        target: what is written to.
        patience: seconds that it waits for another one to end.

    Raises:
        UsageError: another one does.
        VisionkitError: nothing can be written there.
    """
    path = target.place.with_name(f".{target.place.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise UsageError(f"--out {target.place}: another visionkit is writing to it.") from None
    except OSError as error:
        raise cannot_write(target.place, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        lock.release()


def work_of(description: Description, **options: Any) -> dict[str, Any]:
    """What answers depend on; they go into one table where all of it is the same."""
    made_by = {"network", "vocab", "input_size", "preprocessing", "activation"}
    model = description.model_dump_json(include=made_by)
    decided = {name: getattr(description, name) for name in ("temperature", "decision", "thresholds")}
    return {
        "weights": description.weights.sha256,
        "model": sha256(model.encode()).hexdigest(),
        **decided,
        **options,
    }


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """How the work of an earlier call differs, such as "by another model"; "" where it does not."""
    differing = [key for key in before | now if before.get(key) != now.get(key)]
    if {"weights", "model"} & set(differing):
        return "by another model"
    named = [_LONG_NAMES.get(key, key) for key in differing]
    return f"with another {' and another '.join(named)}" if named else ""


class Record:
    """What a table was begun with, in a file beside it.

    Args:
        target: the table.
        work: of `work_of`.
        relative: whether images are named relative to the current folder.

    Raises:
        UsageError: the table was begun with something else.
    """

    def __init__(self, target: Target, work: dict[str, Any], relative: bool) -> None:
        self.target, self.work = target, json.loads(json.dumps(work))
        self.names_from: str | None = os.getcwd() if relative else None
        self.changed = not target.begun
        """Whether the file does not say all of it yet."""
        if target.begun:
            self._compare(self._read())

    def write(self, model: Path) -> None:
        """Write it, whole or not at all.

        Args:
            model: the folder of the model, for people.
        """
        said: dict[str, Any] = {"visionkit": __version__, "model": str(model.absolute())}
        said |= {"names_from": self.names_from, "work": self.work}
        write_atomically(self.target.record, json.dumps(said, indent=2) + "\n")
        self.changed = False

    def _read(self) -> dict[str, Any]:
        try:
            said = json.loads(self.target.record.read_text(encoding="utf-8"))
            if isinstance(said["work"], dict) and isinstance(said["names_from"], str | None):
                return said
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise UsageError(
            f"{self.target.record}: is gone or damaged, so nobody knows which model wrote {self.target.out}. "
            "Name another --out; nothing was touched."
        )

    def _compare(self, said: dict[str, Any]) -> None:
        if what := difference(said["work"], self.work):
            raise UsageError(
                f"--out {self.target.out}: was begun {what} (see {self.target.record.name}). Name another; "
                "nothing was touched."
            )
        before = said["names_from"]
        if before is not None and self.names_from is not None and before != self.names_from:
            raise UsageError(
                f"--out {self.target.out}: was begun in {before}, and its images are named from there. Call "
                "visionkit there, or name another --out; nothing was touched."
            )
        self.names_from = self.names_from or before
        self.changed = self.names_from != before


class FailedImages:
    """A CSV file with `image` and `reason`; there is none where nothing has failed.

    Args:
        path: the file.
        again: images that are tried again, so that what was said of them counts no longer; None for all.
    """

    def __init__(self, path: Path, again: Iterable[str] | None) -> None:
        self.path = path
        self.count = 0
        self._begun = False
        if os.path.lexists(path):
            if again is None:
                path.unlink()
            else:
                self._keep_others(set(again))

    def add(self, image: str, reason: str) -> None:
        """List one more."""
        with self.path.open("ab") as file:
            if not self._begun:
                file.write(csv_record(["image", "reason"]))
            file.write(csv_record([image, reason]))
        self._begun = True
        self.count += 1

    def _keep_others(self, again: set[str]) -> None:
        rows = [row for row, _ in csv_records(self.path)]
        kept = [row for row in rows[1:] if row and row[0] not in again]
        if kept:
            write_atomically(self.path, b"".join(map(csv_record, [rows[0], *kept])).decode())
            self._begun = True
        else:
            self.path.unlink()
