"""Which options of the loss go with which task. Imports nothing heavy, so that a call is refused at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.errors import UsageError
from visionkit.settings import TrainSettings

LOSSES: Mapping[str, tuple[str, ...]] = {
    "single-label": ("cross-entropy", "focal", "bce"),
    "multi-label": ("bce", "focal"),
    "segmentation": ("cross-entropy", "focal", "dice", "cross-entropy+dice"),
}
"""The losses of each task; "auto" is the first. A task that is not here has one loss, its own."""

_LABELS, _CLASSES = ("single-label", "multi-label"), tuple(LOSSES)
_TASKS: Mapping[str, tuple[str, ...]] = {
    "label_smoothing": _CLASSES,
    "class_weights": _CLASSES,
    "mixup": _LABELS,
    "cutmix": _LABELS,
    "weighted_sampling": _CLASSES,
}
_OPTIONS = ("loss", *_TASKS, "ema")
SMOOTHABLE = ("auto", "cross-entropy", "bce", "cross-entropy+dice")


def loss_name(settings: TrainSettings, task: str) -> str:
    """The loss that `settings` mean for `task`: "auto" resolved. Call `check_options` first."""
    return LOSSES[task][0] if settings.loss == "auto" else settings.loss


def check_options(settings: TrainSettings, task: str) -> None:
    """Refuse options of the loss that do not go with `task`, or not with each other.

    Raises:
        UsageError: names the option and the task.
    """
    losses = LOSSES.get(task, ())
    if settings.loss != "auto" and settings.loss not in losses:
        known = (
            f"it takes {', '.join(losses)}" if losses else "it has one loss, its own: leave the option out"
        )
        raise UsageError(f"--loss {settings.loss}: does not go with the task {task}; {known}.")
    for name, tasks in _TASKS.items():
        if name in chosen_options(settings) and task not in tasks:
            raise UsageError(
                f"{_written(name, getattr(settings, name))}: does not go with the task {task}, only with "
                f"{', '.join(tasks)}. Leave the option out."
            )
    if settings.label_smoothing and settings.loss not in SMOOTHABLE:
        raise UsageError(
            f"--label-smoothing {settings.label_smoothing:g}: does not go with --loss {settings.loss} in the "
            f"task {task}. Leave one of them out."
        )


def goes_with(name: str, task: str) -> bool:
    """Whether the setting `name` means anything to `task`: all settings do but some of the loss."""
    return task in (LOSSES if name == "loss" else _TASKS.get(name, (task,)))


def chosen_options(settings: TrainSettings) -> dict[str, Any]:
    """The options of the loss that differ from their built-in default: name -> value."""
    values = {name: getattr(settings, name) for name in _OPTIONS}
    return {
        name: value for name, value in values.items() if value != TrainSettings.model_fields[name].default
    }


def described(settings: TrainSettings) -> str:
    """The chosen options for people, such as "focal, mixup 0.4"; empty where all are at their default."""
    words = []
    for name, value in chosen_options(settings).items():
        spoken = name.replace("_", " ")
        words.append(str(value) if name == "loss" else spoken if value is True else f"{spoken} {value}")
    return ", ".join(words)


def _written(name: str, value: Any) -> str:
    """An option as it is written on the command line."""
    flag = f"--{name.replace('_', '-')}"
    return flag if value is True else f"{flag} {value:g}" if isinstance(value, float) else f"{flag} {value}"
