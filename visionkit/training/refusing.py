"""What of a training's settings is refused before anything is fetched or read."""

from __future__ import annotations

from pathlib import Path

import torch

from visionkit.devices import resolve_device
from visionkit.models.architectures import find_architecture
from visionkit.settings import TrainSettings
from visionkit.tracking.trackers import check_trackers
from visionkit.training.class_weights import read_class_weights
from visionkit.training.compiling import require_compiler
from visionkit.training.hardware import resolve_precision


def checked_device(settings: TrainSettings) -> torch.device:
    """The device that `settings` name, on which everything else that they name can be had.

    Raises:
        UsageError: there is no such device, precision, architecture or file of class weights, or a tracker's
            package is not installed, or nobody has logged in to it.
        VisionkitError: no compiler for `compile`.
    """
    device = resolve_device(settings.device)
    resolve_precision(settings.precision, device)
    find_architecture(settings.arch)
    check_trackers(settings)
    if settings.compile:
        require_compiler(device)
    if isinstance(settings.class_weights, Path):
        read_class_weights(settings.class_weights)
    return device
