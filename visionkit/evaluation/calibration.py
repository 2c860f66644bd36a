"""Whether probabilities are what they say: of answers given with 80 %, 80 % should be right.

The expected calibration error is that of torchmetrics, with 15 bins (Naeini, Cooper and Hauskrecht,
"Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015): for one label over the
probability of the answer, for tags over the probability of every tag. Temperature scaling divides the
logits by one number, which changes no answer of one label, and no order of tags (Guo, Pleiss, Sun and
Weinberger, "On Calibration of Modern Neural Networks", ICML 2017).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0
"""Between these a temperature is looked for: where all answers are right, there would be no coldest."""


class Bins(NamedTuple):
    """A reliability diagram: of each bin the answers in it, their mean probability and the share that is
    right; not numbers where a bin is empty.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    right: np.ndarray


def claims(probabilities: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is claimed with which probability, and whether it is so, each of shape (images, claims).

    For class indices as `targets` that the likeliest class is right, for a table of tags that each is there.
    """
    if targets.ndim == 2:
        return probabilities, targets.astype(float)
    right = probabilities.argmax(axis=1) == targets
    return probabilities.max(axis=1, keepdims=True), right[:, None].astype(float)


def bin_places(confidence: np.ndarray) -> np.ndarray:
    """The bin of each probability, 0 to `BINS`: certainty itself has the last one, as in torchmetrics."""
    edges = torch.linspace(0, 1, BINS + 1).numpy()
    return np.searchsorted(edges, confidence.astype(np.float32), side="right") - 1


def gaps(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """For each image and bin the sum of (right - probability) over its claims: (images, `BINS` + 1).

    The calibration error is the sum over bins of the absolute sums over images, by the number of claims.
    """
    confidence, right = claims(probabilities, targets)
    table = np.zeros((len(confidence), BINS + 1))
    rows = np.broadcast_to(np.arange(len(confidence))[:, None], confidence.shape)
    np.add.at(table, (rows, bin_places(confidence)), right - confidence)
    return table


def calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The expected calibration error, 0 to 1; `targets` are class indices, or tags (images, tags)."""
    count = len(targets) if targets.ndim == 1 else targets.size
    return float(np.abs(gaps(probabilities, targets).sum(axis=0)).sum() / count)


def reliability(probabilities: np.ndarray, targets: np.ndarray) -> Bins:
    """The reliability diagram; certainty counts to the last bin."""
    confidence, right = claims(probabilities, targets)
    places = np.minimum(bin_places(confidence), BINS - 1).ravel()
    counts = np.bincount(places, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(places, each.ravel(), BINS) / counts for each in (confidence, right)]
    return Bins(np.linspace(0, 1, BINS + 1), counts, *means)


def at_temperature(logits: np.ndarray, temperature: float, tags: bool) -> np.ndarray:
    """Probabilities of `logits` (images, classes) divided by `temperature`: of tags, or of classes."""
    scaled = logits.astype(float) / temperature
    return np.asarray(expit(scaled) if tags else softmax(scaled, axis=1))


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature at which `targets` are likeliest, from `COLDEST` to `HOTTEST`.

    Args:
        logits: shape (images, classes), of images that the network was not trained on.
        targets: class indices (images,), or 0/1 tags (images, tags).
    """
    found = minimize_scalar(
        lambda logarithm: surprise(logits, targets, float(np.exp(logarithm))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(np.exp(found.x))


def surprise(logits: np.ndarray, targets: np.ndarray, temperature: float) -> float:
    """The mean negative log-likelihood of `targets` in nats, per image or, of tags, per tag."""
    scaled = logits.astype(float) / temperature
    if targets.ndim == 2:
        return float(np.logaddexp(0, np.where(targets > 0, -scaled, scaled)).mean())
    return float(-log_softmax(scaled, axis=1)[np.arange(len(targets)), targets].mean())
