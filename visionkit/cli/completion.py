"""What shells complete besides commands and options: runs, recipes, and the values of options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

MOST = 50
"""Names that are offered."""
Completer = Callable[[str], list[str]]


def complete_runs(incomplete: str) -> list[str]:
    """Names of runs that begin so, the newest first, and "last"; the settings file says where runs are."""
    from visionkit.errors import VisionkitError
    from visionkit.runs import RUN_FILE
    from visionkit.settings_file import SettingsFile

    try:
        root = SettingsFile.read().paths().runs
        found = [file.parent for file in root.glob(f"*/{RUN_FILE}")]
    except (VisionkitError, OSError):
        return []
    newest = sorted(found, key=_changed, reverse=True)
    names = ["last", *(folder.name for folder in newest)] if newest else []
    return [name for name in names if name.startswith(incomplete)][:MOST]


def complete_recipes(incomplete: str) -> list[str]:
    """Names of recipes that begin so."""
    from visionkit.registry import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


def completing(values: Iterable[object]) -> Completer:
    """Completes one of `values`."""
    words = list(map(str, values))

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
