"""What is wrong with a data set: refused at once, or gathered, or skipped by the user's wish.

Readers of folders and tables call `refuse` where something is wrong, and go on without the row or file if it
returns. A training lets it raise; `visionkit check` gathers everything; `--skip FILE` lets the listed files
pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visionkit.errors import DataError

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, or worth a look.

    Args:
        kind: a short stable name, such as "truncated", that problems are grouped by.
        severity: error (training refuses it), warning (training is likely worse for it), or note.
        message: names the file or row, and says what to do.
        files: the files that it is about; what `--exclude` lists.
    """

    kind: str
    severity: Severity
    message: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Leniency:
    skipped: frozenset[Path] = frozenset()
    gathered: list[Problem] | None = None


_STRICT = _Leniency()
_leniency: ContextVar[_Leniency] = ContextVar("leniency", default=_STRICT)


def refuse(kind: str, message: str, file: Path | None = None) -> None:
    """Raise `DataError(message)`; or return, for the caller to leave the file or row out.

    Returns where `file` is skipped, or while problems are gathered, which adds this one.
    """
    leniency = _leniency.get()
    if file is not None and file in leniency.skipped:
        return
    if leniency.gathered is None:
        raise DataError(message)
    leniency.gathered.append(Problem(kind, "error", message, (file,) if file is not None else ()))


def is_skipped(file: Path) -> bool:
    """Whether the user wants `file` left out."""
    return file in _leniency.get().skipped


def skipped_files() -> frozenset[Path]:
    """The files that the user wants left out."""
    return _leniency.get().skipped


@contextmanager
def skipping(files: frozenset[Path]) -> Iterator[None]:
    """Leave `files` out: what is wrong with them is not refused."""
    token = _leniency.set(_Leniency(files, _leniency.get().gathered))
    try:
        yield
    finally:
        _leniency.reset(token)


@contextmanager
def gathering() -> Iterator[list[Problem]]:
    """Gather problems in the list that this yields, instead of raising at the first."""
    gathered: list[Problem] = []
    token = _leniency.set(_Leniency(_leniency.get().skipped, gathered))
    try:
        yield gathered
    finally:
        _leniency.reset(token)
