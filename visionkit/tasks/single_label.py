"""One label an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastai.learner import AvgMetric, Learner, Metric
from fastai.metrics import accuracy, error_rate
from torch import Tensor

from visionkit.errors import DataError
from visionkit.tasks.base import Task
from visionkit.tasks.classifier import classifier_learner
from visionkit.training.losses import label_loss

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset
    from visionkit.models.architectures import Architecture
    from visionkit.settings import TrainSettings


class SingleLabel(Task):
    """Softmax over classes, cross-entropy, accuracy."""

    name = "single-label"
    headline = "accuracy"

    def check(self, dataset: Dataset) -> None:
        """Two classes at least, and none that only the validation images have."""
        classes = dataset.class_counts()
        if len(classes) < 2:
            raise DataError(
                f"{dataset.path}: all images have the label {next(iter(classes))!r}; two classes are needed."
            )
        unseen = sorted(
            {str(dataset.targets[i]) for i in dataset.valid}
            - {str(dataset.targets[i]) for i in dataset.train}
        )
        if unseen:
            raise DataError(
                f"{dataset.path}: the class {unseen[0]!r} has images for validation and none for training. "
                "Add images of it, or change --seed or --valid-pct."
            )

    def vocab(self, dls: DataLoaders) -> list[str]:
        return [str(name) for name in dls.vocab]

    def loss(self, settings: TrainSettings, vocab: Sequence[str], weights: Tensor | None = None) -> Any:
        return label_loss(settings, weights)

    def metrics(self, settings: TrainSettings, vocab: Sequence[str]) -> list[Metric]:
        return [AvgMetric(accuracy), AvgMetric(error_rate)]

    def learner(
        self, dls: DataLoaders, arch: Architecture, settings: TrainSettings, **kwargs: Any
    ) -> Learner:
        return classifier_learner(
            dls, arch, dropout=getattr(settings, "dropout", 0.5), sizes=settings.sizes, **kwargs
        )

    def predicted(self, activations: Tensor, settings: TrainSettings) -> Tensor:
        return activations.argmax(dim=1)

    def title(self, target: Any, vocab: Sequence[str]) -> str:
        return vocab[int(target)]

    def evaluation_plots(
        self, learn: Learner, dataset: Dataset, settings: TrainSettings
    ) -> dict[str, Figure | str]:
        from visionkit.evaluation.class_report import class_report, report_csv
        from visionkit.evaluation.predictions import predict_validation
        from visionkit.reporting import classification

        predictions = predict_validation(learn, dataset, self.vocab(learn.dls))
        return {
            "report": report_csv(class_report(predictions)),
            "per_class": classification.per_class(predictions),
            "confusion": classification.confusion(predictions),
            "examples": classification.label_examples(predictions, worst=False),
            "worst": classification.label_examples(predictions, worst=True),
        }
