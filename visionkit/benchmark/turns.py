"""Both sides measured in the same minutes, taking turns, so that what else the machine does troubles both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import mean
from typing import Any, TypeVar

import torch

from visionkit.benchmark.figures import Figures
from visionkit.benchmark.pace import Pace, loader_pace, step_pace, together_pace
from visionkit.benchmark.parts import decoding_once, loading_parts, step_parts
from visionkit.benchmark.sides import Side, SideName
from visionkit.errors import VisionkitError
from visionkit.training.hardware import device_name
from visionkit.training.memory import ran_out_of_memory
from visionkit.training.sized import out_of_memory

Found = TypeVar("Found")
TURNS = 2
"""How often each side is measured where there are two; each time for its share of the seconds."""


def measure(sides: Sequence[Side], seconds: float, note: Callable[[str], None]) -> tuple[Figures, ...]:
    """The figures of all `sides`.

    Args:
        sides: one, or two that take turns.
        seconds: that each figure is measured for at least.
        note: told what is being measured.

    Raises:
        VisionkitError: memory runs out, or a network cannot be compiled.
    """
    turns = TURNS if len(sides) > 1 else 1
    measuring = _Measuring(sides, seconds / turns, note)
    with ExitStack() as held:
        for side in sides:
            held.enter_context(side.compiled())
        for turn in range(turns):
            measuring.turn(sides if turn % 2 == 0 else sides[::-1])
        return tuple(measuring.figures(side, seconds / 2) for side in sides)


class _Measuring:
    """Adds up what the turns find."""

    def __init__(self, sides: Sequence[Side], seconds: float, note: Callable[[str], None]) -> None:
        self.seconds, self.note = seconds, note
        self.paces: dict[SideName, dict[str, Pace]] = {
            side.name: dict.fromkeys(("loader", "step", "together"), Pace()) for side in sides
        }
        self.busy: dict[SideName, list[float]] = {side.name: [] for side in sides}

    def turn(self, sides: Sequence[Side]) -> None:
        """The paces of all sides, in this order."""
        for side in sides:
            self._add(side, "loader", self._held(side, "the loader", loader_pace, self.seconds))
        for side in sides:
            self._add(side, "step", self._held(side, "the step", step_pace, self.seconds))
        for side in sides:
            pace, percent = self._held(side, "both together", together_pace, self.seconds)
            self._add(side, "together", pace)
            self.busy[side.name] += [] if percent is None else [percent]

    def figures(self, side: Side, seconds: float) -> Figures:
        """What the turns found, and where the time goes, each half of which is measured for `seconds`."""
        loading = self._held(side, "parts of the loading", loading_parts, seconds)
        step = self._held(side, "parts of the step", step_parts, seconds)
        once = self._held(side, "decoding", decoding_once, seconds) if side.cached else None
        busy = self.busy[side.name]
        with side.conditions():
            about = _about(side)
        return Figures(
            side=side.name,
            **self.paces[side.name],
            parts={**loading, **step},
            decoding_once=once,
            utilisation=mean(busy) if busy else None,
            about=about,
        )

    def _add(self, side: Side, what: str, pace: Pace) -> None:
        self.paces[side.name][what] += pace

    def _held(self, side: Side, what: str, call: Callable[[Side, float], Found], seconds: float) -> Found:
        """What `call` measures under the conditions of a training."""
        self.note(f"measuring  {side.title}: {what}")
        try:
            with side.conditions():
                return call(side, seconds)
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            size = side.learn.dls.train.bs
            if side.name == "stock":
                raise VisionkitError(
                    f"stock fastai ran out of memory with batches of {size} images at {side.stage.size} px. "
                    "Give both a smaller --bs, or measure without --against."
                ) from error
            raise out_of_memory(size, side.stage) from error
        finally:
            if side.device.type == "cuda":
                torch.cuda.empty_cache()  # the other side may need it


def _about(side: Side) -> dict[str, Any]:
    return {
        "device": device_name(side.device),
        "precision": side.precision,
        "cached": side.cached,
        "workers": side.workers,
        "warm_up_batches": side.warm_up,
    }
