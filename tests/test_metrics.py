"""The figures of history.csv equal those of scikit-learn and of a plain count, Void left out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, fbeta_score, jaccard_score

from visionkit.settings import MultiLabelSettings, TrainSettings
from visionkit.tasks import get_task

CODES = ["Sky", "Road", "Car", "Tree", "Void"]


def figures(
    task: str, settings: TrainSettings, vocab: list[str], batches: list[tuple[torch.Tensor, torch.Tensor]]
) -> dict[str, float]:
    """The task's metrics over batches of (logits, targets), fed as fastai's Learner does."""
    metrics = get_task(task).metrics(settings, vocab)
    for metric in metrics:
        metric.reset()
    for logits, targets in batches:
        for metric in metrics:
            metric.accumulate(
                SimpleNamespace(pred=logits, y=targets, yb=(targets,), to_detach=lambda value: value)
            )
    return {metric.name: float(metric.value) for metric in metrics}


@pytest.mark.parametrize("seed", range(5))
def test_segmentation_leaves_void_out(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    masks = [torch.randint(0, 5, (count, 6, 7), generator=generator) for count in (3, 2)]
    for mask in masks:
        mask[mask == 3] = 0  # a code that never occurs and, where it is not predicted either, does not count
    logits = [torch.randn(len(mask), 5, 6, 7, generator=generator) for mask in masks]
    for values in logits:
        values[:, 3] = -100
    found = figures("segmentation", TrainSettings(), CODES, list(zip(logits, masks)))
    truth = torch.cat(masks).numpy().ravel()
    guess = torch.cat(logits).argmax(dim=1).numpy().ravel()
    counted = truth != 4
    assert found["pixel_accuracy"] == pytest.approx(accuracy_score(truth[counted], guess[counted]), abs=1e-6)
    expected = jaccard_score(truth[counted], guess[counted], labels=[0, 1, 2], average="macro")
    assert found["mean_iou"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_tags(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets = (torch.rand(20, 6, generator=generator) > 0.6).float()
    targets[:, 0] = 1
    logits = torch.randn(20, 6, generator=generator)
    batches = [(logits[:12], targets[:12]), (logits[12:], targets[12:])]
    found = figures("multi-label", MultiLabelSettings(threshold=0.2), list("abcdef"), batches)
    guess = (logits.sigmoid() > 0.2).numpy()
    assert found["f2"] == pytest.approx(
        fbeta_score(targets.numpy(), guess, beta=2, average="samples", zero_division=0)
    )
    assert found["accuracy_multi"] == pytest.approx(float(np.mean(guess == targets.numpy().astype(bool))))


def test_labels() -> None:
    logits = torch.tensor([[2.0, 1, 0], [0, 2, 1], [0, 1, 2], [2, 1, 0]])
    found = figures("single-label", TrainSettings(), list("abc"), [(logits, torch.tensor([0, 1, 2, 1]))])
    assert found == {"accuracy": 0.75, "error_rate": 0.25}


def test_void_is_left_out_of_the_loss() -> None:
    loss = get_task("segmentation").loss(TrainSettings(), CODES)
    logits = torch.randn(2, 5, 4, 4)
    targets = torch.randint(0, 4, (2, 4, 4))
    alone = loss(logits[:1], targets[:1])
    targets[1] = 4
    assert torch.allclose(loss(logits, targets), alone)
