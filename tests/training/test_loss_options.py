"""Options of the loss that do not go with a task, or with each other."""

from __future__ import annotations

from typing import Any

import pytest

from visionkit.errors import UsageError
from visionkit.settings import TrainSettings
from visionkit.tasks.options import LOSSES, check_options, described, loss_name

OPTIONS = {"label_smoothing": 0.1, "class_weights": "auto", "mixup": 0.4, "cutmix": 1.0}
OPTIONS |= {"weighted_sampling": True, "ema": 0.9}
REFUSED = [
    ("segmentation", {"mixup": 0.4}),
    ("segmentation", {"cutmix": 1}),
    ("segmentation", {"loss": "bce"}),
    ("single-label", {"loss": "dice"}),
    ("multi-label", {"loss": "cross-entropy"}),
    *(("keypoints", {name: value}) for name, value in OPTIONS.items() if name != "ema"),
    ("keypoints", {"loss": "focal"}),
    *((task, {"loss": "focal", "label_smoothing": 0.1}) for task in LOSSES),
    ("segmentation", {"loss": "dice", "label_smoothing": 0.1}),
]


@pytest.mark.parametrize(("task", "options"), REFUSED)
def test_refused_options_are_named_with_the_task(task: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        check_options(TrainSettings(**options), task)
    message = str(caught.value)
    assert f"--{list(options)[-1].replace('_', '-')}" in message and f"task {task}" in message
    assert "\n" not in message


@pytest.mark.parametrize("task", [*LOSSES, "keypoints"])
def test_the_defaults_go_with_every_task(task: str) -> None:
    check_options(TrainSettings(), task)
    check_options(TrainSettings(ema=0.999), task)
    assert described(TrainSettings()) == ""


@pytest.mark.parametrize("task", list(LOSSES))
def test_all_options_of_a_task_go_together(task: str) -> None:
    options = {name: value for name, value in OPTIONS.items() if (task, {name: value}) not in REFUSED}
    options.pop("cutmix" if task == "segmentation" else "", None)
    for loss in ("auto", *LOSSES[task]):
        chosen = options if loss not in ("focal", "dice") else {**options, "label_smoothing": 0}
        check_options(TrainSettings(loss=loss, **chosen), task)
    assert loss_name(TrainSettings(), task) == LOSSES[task][0]


def test_described() -> None:
    settings = TrainSettings(loss="focal", weighted_sampling=True, ema=0.99, class_weights="auto")
    assert described(settings) == "focal, class weights auto, weighted sampling, ema 0.99"
