"""What can be seen of a training under way: where it is, how it goes, when it will be done."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from visionkit.live.log import Moment, read_live
from visionkit.runs import AFTER_METRICS, BEFORE_METRICS, Run


@dataclass(frozen=True)
class View:
    """A run as it is now. Places are in epochs from the start of the training, over all stages.

    Args:
        name: of the run.
        status: running, interrupted, failed or done.
        training: place and smoothed loss.
        validation: place and loss, at the ends of epochs.
        stages: place where each begins, and its name.
        epochs: of the whole training.
        place: where it is.
        position: the same in words.
        metrics: figures of the last validation.
        pace: images a second, by the last rows; None before there are two.
        left: seconds that it will still take, about; None where nobody knows.
    """

    name: str
    status: str
    training: list[tuple[float, float]] = field(default_factory=list)
    validation: list[tuple[float, float]] = field(default_factory=list)
    stages: list[tuple[float, str]] = field(default_factory=list)
    epochs: int = 0
    place: float = 0.0
    position: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    pace: float | None = None
    left: float | None = None


def view(run: Run) -> View:
    """See `run` as its files say.

    Raises:
        VisionkitError: history.csv or run.json is damaged.
    """
    stages: list[Any] = run.info.get("stages", [])
    starts = _starts(stages)
    total = sum(stage["epochs"] for stage in stages)
    history, moments = run.history, [each for each in read_live(run.path) if each.stage in starts]
    training = [(_place(each, starts), each.loss) for each in moments if math.isfinite(each.loss)]
    validation = [
        (starts.get(_number(row["stage"]), 0) + float(row["epoch"]), float(row["valid_loss"]))
        for row in history
    ]
    if not training:
        training = _batches(run, stages, starts)
    place = _place(moments[-1], starts) if moments else (validation[-1][0] if validation else 0.0)
    shown = history[-1] if history else {}
    figures = {
        name: float(value) for name, value in shown.items() if name not in (*BEFORE_METRICS, *AFTER_METRICS)
    }
    status = run.status
    return View(
        run.name,
        status,
        training,
        [(at, loss) for at, loss in validation if math.isfinite(loss)],
        [(starts[stage["number"]], f"{stage['size']} px {stage['name']}") for stage in stages],
        total,
        place,
        _position(moments[-1], stages) if moments else "",
        figures,
        _pace(moments),
        _left(moments, stages, starts) if status == "running" else None,
    )


def _starts(stages: list[Any]) -> dict[int, float]:
    """The place where each stage begins, by its number."""
    starts, done = {}, 0.0
    for stage in stages:
        starts[stage["number"]] = done
        done += stage["epochs"]
    return starts


def _batches(run: Run, stages: list[Any], starts: dict[int, float]) -> list[tuple[float, float]]:
    """Place and smoothed loss of every batch of a run that is done."""
    from visionkit.reporting.curves import smoothed

    batches = run.batches
    counts = Counter(_number(row["stage"]) for row in batches)
    epochs = {stage["number"]: stage["epochs"] for stage in stages}
    done: Counter[int] = Counter()
    found = []
    for row, loss in zip(batches, smoothed(np.array([float(row["loss"]) for row in batches]))):
        stage = _number(row["stage"])
        done[stage] += 1
        if stage in starts and math.isfinite(loss):
            found.append((starts[stage] + epochs[stage] * done[stage] / counts[stage], float(loss)))
    return found


def _number(text: str) -> int:
    value = float(text)
    return int(value) if math.isfinite(value) else 0


def _place(moment: Moment, starts: dict[int, float]) -> float:
    return starts[moment.stage] + moment.epoch - 1 + moment.images / moment.of


def _position(moment: Moment, stages: list[Any]) -> str:
    stage = next(stage for stage in stages if stage["number"] == moment.stage)
    what = "validating" if moment.images == moment.of else f"image {moment.images:,} of {moment.of:,}"
    return (
        f"stage {moment.stage} of {len(stages)}, {stage['size']} px {stage['name']}, "
        f"epoch {moment.epoch} of {stage['epochs']}, {what}"
    )


def _pace(moments: list[Moment]) -> float | None:
    """Of the training in the epoch under way."""
    if not moments:
        return None
    last = moments[-1]
    first = next(each for each in moments if each[1:3] == last[1:3])
    seconds = last.time - first.time
    return (last.images - first.images) / seconds if seconds > 0 and last.images > first.images else None


def _left(moments: list[Moment], stages: list[Any], starts: dict[int, float]) -> float | None:
    """By the pace of the stage under way; other stages are taken to cost as many seconds a pixel."""
    if not moments:
        return None
    last = moments[-1]
    place = _place(last, starts)
    first = next(each for each in moments if each.stage == last.stage)
    went = place - _place(first, starts)
    if went <= 0:
        return None
    each = (last.time - first.time) / went
    sizes = {stage["number"]: stage["size"] for stage in stages}
    ends = {stage["number"]: starts[stage["number"]] + stage["epochs"] for stage in stages}
    here = (ends[last.stage] - place) * each
    later = sum(
        stage["epochs"] * each * (stage["size"] / sizes[last.stage]) ** 2
        for stage in stages
        if stage["number"] > last.stage
    )
    return max(0.0, here + later - (time.time() - last.time))
