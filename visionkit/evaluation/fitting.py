"""Temperature and thresholds, fitted on one half of the images and judged on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from visionkit.evaluation.bootstrap import Figure, figures_of
from visionkit.evaluation.calibration import at_temperature, fit_temperature, gaps
from visionkit.evaluation.halving import halves
from visionkit.evaluation.predictions import image_losses
from visionkit.evaluation.thresholds import best_common, best_per_tag, image_fbeta
from visionkit.inference.decisions import tags_by_expected_fbeta, tags_over

Thresholds = float | list[float]


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it does for images that it was not fitted on.

    Args:
        temperature: fitted on all images: what the bundle gets.
        of_half: fitted on the first half.
        images: how many the second half has, which `before` and `after` are of.
        before: calibration error and log loss at the bundle's present temperature.
        after: at `of_half`.
    """

    temperature: float
    of_half: float
    images: int
    before: Mapping[str, Figure]
    after: Mapping[str, Figure]

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "temperature": self.temperature,
            "temperature_of_first_half": self.of_half,
            "images_of_second_half": self.images,
            "before": {name: figure.as_json() for name, figure in self.before.items()},
            "after": {name: figure.as_json() for name, figure in self.after.items()},
        }


def calibrate(logits: np.ndarray, targets: np.ndarray, present: float) -> Calibration:
    """Fit a temperature.

    Args:
        logits: shape (images, classes).
        targets: class indices (images,), or 0/1 tags (images, tags).
        present: the bundle's temperature.
    """
    first, second = halves(targets)
    of_half = fit_temperature(logits[first], targets[first])
    before, after = (
        _calibration_figures(at_temperature(logits[second], each, targets.ndim == 2), targets[second])
        for each in (present, of_half)
    )
    return Calibration(fit_temperature(logits, targets), of_half, len(second), before, after)


def _calibration_figures(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, Figure]:
    misfits, losses = gaps(probabilities, targets), image_losses(probabilities, targets)
    claims = 1 if targets.ndim == 1 else targets.shape[1]

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        count = weights.sum(axis=1)
        error = np.abs(weights @ misfits).sum(axis=1) / (count * claims)
        return {"calibration_error": error, "log_loss": weights @ losses / count}

    return figures_of(statistics, len(targets))


@dataclass(frozen=True)
class Tuning:
    """Thresholds, and the F2 that ways of deciding have on images that nothing was fitted on.

    Args:
        chosen: `present`, `common` or `per_tag`: the best of them on the second half.
        thresholds: those of `chosen`, fitted on all images: what the bundle gets.
        common: the one threshold for all tags, fitted on all images.
        per_tag: one for each tag, fitted on all images.
        images: how many the second half has.
        f2: on the second half, of the thresholds fitted on the first, and of `expected_f2`.
    """

    chosen: str
    thresholds: Thresholds
    common: float
    per_tag: list[float]
    images: int
    f2: Mapping[str, Figure]

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "chosen": self.chosen,
            "thresholds": self.thresholds,
            "common": self.common,
            "per_tag": self.per_tag,
            "images_of_second_half": self.images,
            "f2_of_second_half": {name: figure.as_json() for name, figure in self.f2.items()},
        }


def tune(probabilities: np.ndarray, targets: np.ndarray, present: Thresholds) -> Tuning:
    """Fit thresholds for the greatest mean F2 over images.

    Args:
        probabilities: float32, shape (images, tags).
        targets: 0/1, of the same shape.
        present: the bundle's thresholds.
    """
    first, second = halves(targets)
    common, per_tag = _fitted(probabilities[first], targets[first])
    seen = probabilities[second]
    decisions = {
        "present": tags_over(seen, present),
        "common": tags_over(seen, common),
        "per_tag": tags_over(seen, per_tag),
        "expected_f2": tags_by_expected_fbeta(seen),
    }
    table = np.stack([image_fbeta(chosen, targets[second]) for chosen in decisions.values()], axis=1)
    figure = figures_of(
        lambda weights: {"f2": weights @ table / weights.sum(axis=1, keepdims=True)}, len(second)
    )["f2"]
    f2 = {
        name: Figure(figure.value[place], figure.low[place], figure.high[place])
        for place, name in enumerate(decisions)
    }
    chosen = max(("present", "common", "per_tag"), key=lambda name: float(f2[name].value))
    common, per_tag = _fitted(probabilities, targets)
    thresholds: dict[str, Thresholds] = {"present": present, "common": common, "per_tag": per_tag}
    return Tuning(chosen, thresholds[chosen], common, per_tag, len(second), f2)


def _fitted(probabilities: np.ndarray, targets: np.ndarray) -> tuple[float, list[float]]:
    common = best_common(probabilities, targets)
    return common, best_per_tag(probabilities, targets, common).tolist()


def moved(thresholds: Thresholds, before: float, after: float) -> Thresholds:
    """The thresholds with which tags stay as they are when the temperature changes."""
    places = expit(logit(np.asarray(thresholds, dtype=float)) * before / after)
    return float(places) if np.ndim(places) == 0 else places.tolist()
