"""What of a training's settings is refused before anything is fetched or read."""

from __future__ import annotations

from pathlib import Path

import torch

from visionkit.devices import resolve_device
from visionkit.distributed.started import started_here
from visionkit.distributed.world import World
from visionkit.errors import EndedElsewhere, UsageError
from visionkit.models.architectures import find_architecture
from visionkit.settings import TrainSettings, too_few_images
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
        UsageError: in the first process.
        EndedElsewhere: in the others.
    """
    refused = _refused(settings, world)
    if not refused:
        return
    error = UsageError(refused)
    raise error if world.leads else EndedElsewhere(error.exit_code)


def _refused(settings: TrainSettings, world: World) -> str:
    """Why the settings do not go with the processes; "" where they do."""
    if world.size == 1:
        if settings.gpus == 1:
            return ""
        return (
            f"gpus = {settings.gpus}: several processes are started by the command line, as by visionkit "
            f"planet --gpus {settings.gpus}, or by torchrun; here is one. Set gpus to 1 to train with it."
        )
    if settings.gpus not in (1, started_here()):
        return (
            f"--gpus {settings.gpus}: torchrun has started {started_here()} processes on this host, and "
            f"{world.size} in all. Leave --gpus out, and give torchrun --nproc-per-node."
        )
    if ":" in settings.device or settings.device == "mps":
        return f"--device {settings.device}: that is one device for {world.size} processes; give cuda or cpu."
    return too_few_images(settings.bs, world.size)
