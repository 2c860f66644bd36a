"""The examination as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from visionkit.doctor.findings import Findings, Topic
from visionkit.errors import VisionkitError
from visionkit.settings_file import SettingsFile


def examine(settings: Path | None = None) -> Findings:
    """Look at this machine: packages, device, memory, disks, data sets, settings, credentials, surroundings.

    Nothing is written, made or fetched. What cannot be examined is a problem among the others.

    Args:
        settings: the settings file; that of the current folder where None.
    """
    from visionkit.doctor.computing import device, memory, precision
    from visionkit.doctor.credentials import credentials
    from visionkit.doctor.disks import data_sets, disks, weights
    from visionkit.doctor.packages import packages
    from visionkit.doctor.settings_in_force import settings_in_force
    from visionkit.doctor.surroundings import compiler, network, terminal

    file = _readable(settings)
    parts: dict[str, Callable[[Topic], None]] = {
        "packages": packages,
        "device": device,
        "precision": precision,
        "memory": memory,
        "settings": lambda topic: settings_in_force(topic, settings),
        "disks": lambda topic: disks(topic, file),
        "data sets": lambda topic: data_sets(topic, file),
        "weights": weights,
        "credentials": credentials,
        "compiler": compiler,
        "network": network,
        "terminal": terminal,
    }
    return Findings(tuple(_examined(title, part) for title, part in parts.items()))


def _readable(settings: Path | None) -> SettingsFile:
    """The settings file where its paths can be used, else an empty one; its faults are told elsewhere."""
    try:
        file = SettingsFile.read(settings)
        file.paths()
    except VisionkitError:
        return SettingsFile()
    return file


def _examined(title: str, part: Callable[[Topic], None]) -> Topic:
    """One topic; whatever a broken installation raises must not hide the rest."""
    topic = Topic(title)
    try:
        part(topic)
    except ImportError as error:  # which topics of their own tell of
        topic.add("unknown", f"{error.name or 'a package'} cannot be imported")
    except Exception as error:
        # Only the kind: a message could quote what was being read, and that could be a secret.
        topic.wrong(f"{title}: cannot be examined ({type(error).__name__})", "see `visionkit --debug doctor`")
    return topic
