"""The model that a command's argument names."""

from __future__ import annotations

from pathlib import Path


def named_model(run: str, settings: Path | None) -> Path:
    """The folder of the bundle that is meant, or the exported file.

    Args:
        run: a run folder, a run's name, "last", a folder with a model, an .onnx file, or hf:OWNER/NAME.
        settings: the settings file, which says where runs are.

    Raises:
        UsageError: there is no such run.
        VisionkitError: it has no model, or the Hub does not give it.
    """
    from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE
    from visionkit.inference.predictor import bundle_folder
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    if run.startswith("hf:"):
        return bundle_folder(run)
    path = Path(run).expanduser()
    if path.suffix == ".onnx":
        return path
    if path.name in (DESCRIPTION_FILE, WEIGHTS_FILE) or (path / DESCRIPTION_FILE).is_file():
        return bundle_folder(path)
    return bundle_folder(find_run(run, SettingsFile.read(settings).paths().runs))
