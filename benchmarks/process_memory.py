"""The memory of this process: its own, and pages of files that the system could drop at any time."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_NAMES = {"VmRSS": "resident_mb", "RssAnon": "own_mb", "RssFile": "file_mb"}


def process_memory() -> dict[str, float]:
    """Megabytes (1,000,000 bytes) that are resident: all, the process's own, and mapped files' pages.

    Empty where the system has no /proc.
    """
    if not _STATUS.is_file():
        return {}
    lines = (line.partition(":") for line in _STATUS.read_text().splitlines())
    return {
        _NAMES[name]: round(int(value.split()[0]) * 1024 / 1e6, 1)
        for name, _, value in lines
        if name in _NAMES
    }
