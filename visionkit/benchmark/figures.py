"""What a benchmark found, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from visionkit.benchmark.pace import Pace
from visionkit.benchmark.sides import SideName

EVEN = 1.1
"""Loader and step are about equally fast where neither is so many times as fast as the other."""

MUCH_WAIT = 5.0
"""Percent of waiting that has to be told of where the loader alone would be fast enough: both share the
cores, or a new epoch begins slowly."""


@dataclass(frozen=True)
class Figures:
    """What was measured of one side.

    Args:
        side: whose they are.
        loader: images of the loader alone.
        step: of the training step on a batch in memory.
        together: of a training as it is.
        parts: seconds an image of each part, one after the other.
        decoding_once: seconds an image to fill the cache, in one thread; None where there is no cache.
        utilisation: percent of the time in which the GPU computed; None where nobody knows.
        about: how the side computes and loads: `device`, `precision`, `workers`, `cached`, `warm_up`.
    """

    side: SideName
    loader: Pace
    step: Pace
    together: Pace
    parts: Mapping[str, float]
    decoding_once: float | None
    utilisation: float | None
    about: Mapping[str, Any]

    @property
    def shares(self) -> dict[str, float]:
        """Percent of each part."""
        total = sum(self.parts.values())
        return {name: 100 * seconds / max(total, 1e-12) for name, seconds in self.parts.items()}

    @property
    def headroom(self) -> float:
        """How many times as many images the loader gives as the step takes."""
        return self.loader.images_per_s / max(self.step.images_per_s, 1e-9)

    def limit(self) -> str:
        """What limits, in words."""
        if self.headroom >= EVEN:
            much, waits = f"could feed {times(self.headroom)} as much", self.together.wait_percent
            if waits < MUCH_WAIT:
                return f"the step limits: the loader {much}"
            beside = f"but beside it the step waits {waits:.0f} % of the time"
            return f"the step limits: the loader alone {much}, {beside}"
        if self.headroom <= 1 / EVEN:
            return f"the loader limits: the step could take {times(1 / self.headroom)} as much"
        return "loader and step are about equally fast"

    def as_json(self) -> dict[str, Any]:
        once = self.decoding_once
        return {
            **self.about,
            "loader_images_per_s": figure(self.loader.images_per_s),
            "step_images_per_s": figure(self.step.images_per_s),
            "together_images_per_s": figure(self.together.images_per_s),
            "wait_percent": round(self.together.wait_percent, 2),
            "utilisation_percent": None if self.utilisation is None else round(self.utilisation, 1),
            "loader_per_step": figure(self.headroom),
            "limit": self.limit(),
            "parts": {
                name: {
                    "ms_per_image": figure(1000 * seconds),
                    "share_percent": round(self.shares[name], 2),
                }
                for name, seconds in self.parts.items()
            },
            "decode_once_ms_per_image": None if once is None else figure(1000 * once),
        }


@dataclass(frozen=True)
class Benchmark:
    """All that a benchmark found.

    Args:
        about: what was measured: `recipe`, `size`, `stage`, `arch`, `bs`, `train`, `synthetic`, `seconds`,
            `versions`.
        sides: visionkit, and stock fastai where it was measured too.
    """

    about: Mapping[str, Any]
    sides: tuple[Figures, ...]

    @property
    def ratios(self) -> dict[str, float]:
        """How many times as fast visionkit is as stock fastai; empty where that was not measured."""
        if len(self.sides) < 2:
            return {}
        ours, stock = self.sides
        return {
            name: getattr(ours, name).images_per_s / max(getattr(stock, name).images_per_s, 1e-9)
            for name in ("loader", "step", "together")
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, ready for JSON; figures have four digits."""
        return {
            **self.about,
            "sides": {figures.side: figures.as_json() for figures in self.sides},
            "ratios": {name: figure(ratio) for name, ratio in self.ratios.items()},
        }


def figure(value: float, digits: int = 4) -> float:
    """`value` to so many digits that count."""
    return round(value, digits - 1 - floor(log10(abs(value)))) if value else 0.0


def shown(value: float) -> str:
    """A figure for people, to three digits that count or two behind the point: "2,310", "42.1", "0.35"."""
    value = figure(value, 3)
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def times(ratio: float) -> str:
    """A ratio for people: "12 times", "3.4 times"."""
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
