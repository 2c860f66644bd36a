"""What run.json says of submissions: the files that were written, by which model, and their uploads."""

from __future__ import annotations

from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import VisionkitError
from visionkit.progress import Progress
from visionkit.runs import Run

if TYPE_CHECKING:
    from visionkit.inference.description import Description


def record_written(
    run: Run, file: Path, rows: int, description: Description, clip: float, progress: Progress
) -> None:
    """Add a file that was written just now to `submissions`."""
    entry: dict[str, Any] = {
        "file": _name(run, file),
        "sha256": _digest(file),
        "rows": rows,
        "written": _now(),
        "model": _deciding(description),
        "uploads": [],
    }
    if clip:
        entry["clip"] = clip
    _change(run, [*Run.read(run.path).info.get("submissions", []), entry], progress)


def record_upload(run: Run, file: Path, message: str, answer: str, progress: Progress) -> None:
    """Add what Kaggle answered to the last entry of this file, which was recorded when it was written."""
    entries = Run.read(run.path).info.get("submissions", [])
    digest = _digest(file)
    entry = next((each for each in reversed(entries) if each["sha256"] == digest), None)
    if entry is None:  # run.json could not be written then
        entry = {"file": _name(run, file), "sha256": digest, "uploads": []}
        entries.append(entry)
    entry["uploads"].append({"when": _now(), "message": message, "answer": answer})
    _change(run, entries, progress)


def written_by(run: Run, file: Path, description: Description) -> str:
    """When `file` was written by the model of `run`, with the weights and the decision that it has now.

    Raises:
        VisionkitError: it was not, or was changed since.
    """
    digest = _digest(file)
    entries = [each for each in run.info.get("submissions", []) if each["sha256"] == digest]
    remedy = "Write a new one: name another file with --out."
    if not entries:
        raise VisionkitError(
            f"{file}: is not as visionkit submit wrote it for {run.name}, and is not uploaded. {remedy}"
        )
    if entries[-1]["model"] != _deciding(description):
        raise VisionkitError(
            f"{file}: the model of {run.name}, or how it decides, has changed since this file was written. "
            f"{remedy}"
        )
    return str(entries[-1]["written"])


def _deciding(description: Description) -> dict[str, Any]:
    """What the answers hang on, besides the images."""
    said = description.model_dump(include={"thresholds", "decision", "temperature"}, mode="json")
    return {"weights": description.weights.sha256, **said}


def _change(run: Run, entries: list[dict[str, Any]], progress: Progress) -> None:
    """Write `entries` to run.json, which something else may have changed meanwhile."""
    current = Run.read(run.path)
    try:
        current.update(submissions=entries)
    except OSError as error:
        progress.note(f"run.json   cannot be written ({error.strerror or error}): {run.path}")
    run.info.update(current.info)


def _name(run: Run, file: Path) -> str:
    """The file's name in the run folder, or its whole path."""
    whole, folder = file.resolve(), run.path.resolve()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(whole)


def _digest(file: Path) -> str:
    try:
        return sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise VisionkitError(f"{file}: cannot be read ({error.strerror or error}).") from error


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
