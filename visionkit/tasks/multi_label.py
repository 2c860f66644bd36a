"""Any number of tags an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fastai.learner import AvgMetric, Learner, Metric
from fastai.metrics import FBetaMulti, accuracy_multi
from torch import Tensor

from visionkit.errors import DataError
from visionkit.settings import MultiLabelSettings
from visionkit.tasks.base import Task
from visionkit.tasks.classifier import classifier_learner
from visionkit.training.losses import tag_loss

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset
    from visionkit.models.architectures import Architecture
    from visionkit.settings import TrainSettings


class MultiLabel(Task):
    """A sigmoid for every tag, binary cross-entropy, accuracy and F2 at a threshold."""

    name = "multi-label"
    headline = "f2"

    def check(self, dataset: Dataset) -> None:
        """Two tags at least."""
        tags = dataset.class_counts()
        if len(tags) < 2:
            raise DataError(f"{dataset.path}: the only tag is {next(iter(tags))!r}; two are needed.")

    def vocab(self, dls: DataLoaders) -> list[str]:
        return [str(name) for name in dls.vocab]

    def loss(self, settings: TrainSettings, vocab: Sequence[str], weights: Tensor | None = None) -> Any:
        return tag_loss(settings, self._threshold(settings), weights)

    def metrics(self, settings: TrainSettings, vocab: Sequence[str]) -> list[Metric]:
        threshold = self._threshold(settings)
        f2 = FBetaMulti(beta=2, thresh=threshold, average="samples")
        f2.name = "f2"
        return [AvgMetric(partial(accuracy_multi, thresh=threshold)), f2]

    def learner(
        self, dls: DataLoaders, arch: Architecture, settings: TrainSettings, **kwargs: Any
    ) -> Learner:
        return classifier_learner(
            dls, arch, dropout=getattr(settings, "dropout", 0.5), sizes=settings.sizes, **kwargs
        )

    def predicted(self, activations: Tensor, settings: TrainSettings) -> Tensor:
        return (activations > self._threshold(settings)).long()

    def title(self, target: Any, vocab: Sequence[str]) -> str:
        return " ".join(name for name, there in zip(vocab, target) if there)

    def evaluation_plots(
        self, learn: Learner, dataset: Dataset, settings: TrainSettings
    ) -> dict[str, Figure]:
        from visionkit.evaluation.predictions import predict_validation
        from visionkit.reporting import classification

        predictions = predict_validation(learn, dataset, self.vocab(learn.dls))
        threshold = self._threshold(settings)
        return {
            "per_tag": classification.per_tag(predictions, threshold),
            "examples": classification.tag_examples(predictions, threshold, worst=False),
            "worst": classification.tag_examples(predictions, threshold, worst=True),
        }

    @staticmethod
    def _threshold(settings: TrainSettings) -> float:
        return settings.threshold if isinstance(settings, MultiLabelSettings) else 0.5
