"""Which settings file is in force, and whether all in it is right."""

from __future__ import annotations

from pathlib import Path

from visionkit.doctor.findings import Topic
from visionkit.errors import VisionkitError
from visionkit.settings_file import SETTINGS_NAME, SettingsFile


def settings_in_force(topic: Topic, path: Path | None) -> None:
    """The file and its sections; a fault in it stops every training from its folder."""
    from visionkit.registry import get_recipe, recipe_names

    shown = Path(path or SETTINGS_NAME).absolute()
    try:
        file = SettingsFile.read(path)
        file.check([get_recipe(name) for name in recipe_names()])
    except VisionkitError as error:
        topic.add("file", str(shown))
        topic.add("valid", "no", False)
        topic.wrong(str(error).rstrip("."), "mend that line; `visionkit settings` prints a valid file", True)
        return
    if file.path is None:
        topic.add("file", f"none: there is no {SETTINGS_NAME} in {shown.parent}", "")
        return
    topic.add("file", str(shown))
    topic.add("valid", "yes", True)
    topic.add("sections", ", ".join(file.sections) or "none")
