"""What differs between kinds of prediction: one class each, with the same hooks."""

from __future__ import annotations

from importlib import import_module

from visionkit.tasks.base import Task

_TASKS = {
    "single-label": ("visionkit.tasks.single_label", "SingleLabel"),
    "multi-label": ("visionkit.tasks.multi_label", "MultiLabel"),
    "segmentation": ("visionkit.tasks.segmentation", "Segmentation"),
    "keypoints": ("visionkit.tasks.keypoints", "Keypoints"),
}

__all__ = ["Task", "get_task"]


def get_task(name: str) -> Task:
    """The task called `name`. Raises KeyError for an unknown one: a recipe's task is checked by its type."""
    module, cls = _TASKS[name]
    task: Task = getattr(import_module(module), cls)()
    return task
