"""What of a training's settings is refused before anything is fetched or read."""

from __future__ import annotations

from pathlib import Path

import torch

from visionkit.devices import resolve_device
from visionkit.distributed.world import World
from visionkit.errors import UsageError
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


def check_started(settings: TrainSettings, world: World) -> None:
    """Refuse what several processes cannot do, or one alone where several are asked for.

    Raises:
        UsageError: `gpus` is above 1 and torchrun has not started this process; or `bs` is "auto".
    """
    if world.size > 1 and settings.bs == "auto":
        raise UsageError(
            f"--bs auto: what fits is found out for one process, and here are {world.size}; give --bs a "
            "number, which counts for all of them together."
        )
    if settings.gpus > 1 and world.size == 1:
        raise UsageError(
            f"gpus = {settings.gpus}: several processes are started by the command line, as by visionkit "
            f"planet --gpus {settings.gpus}, or by torchrun; here is one. Set gpus to 1 to train with it."
        )
