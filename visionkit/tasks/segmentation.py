"""A code for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastai.learner import Learner, Metric
from fastai.vision.learner import unet_learner
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from visionkit.data.masks import void_index
from visionkit.evaluation.metrics import TorchMetric
from visionkit.models.weights import load_fitting
from visionkit.tasks.base import Task
from visionkit.training.losses import mask_loss

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset
    from visionkit.models.architectures import Architecture
    from visionkit.settings import TrainSettings


class Segmentation(Task):
    """A U-Net with softmax over codes; the void code is left out of loss and metrics."""

    name = "segmentation"
    headline = "mean_iou"

    def vocab(self, dls: DataLoaders) -> list[str]:
        return mask_codes(dls.train.after_item)

    def loss(self, settings: TrainSettings, vocab: Sequence[str], weights: Tensor | None = None) -> Any:
        return mask_loss(settings, len(vocab), void_index(vocab), weights)

    def metrics(self, settings: TrainSettings, vocab: Sequence[str]) -> list[Metric]:
        options: dict[str, Any] = {"num_classes": len(vocab), "ignore_index": void_index(vocab)}
        return [
            TorchMetric("pixel_accuracy", MulticlassAccuracy(average="micro", **options)),
            TorchMetric("mean_iou", MulticlassJaccardIndex(average="macro", **options)),
        ]

    def learner(
        self, dls: DataLoaders, arch: Architecture, settings: TrainSettings, **kwargs: Any
    ) -> Learner:
        """Fastai's `unet_learner` on the body of `arch`, frozen where it starts from `state`."""
        state, report = kwargs.pop("state"), kwargs.pop("report")
        model = arch.build()
        if state is not None:
            report(load_fitting(model, state))
        return unet_learner(
            dls,
            lambda pretrained: model,
            n_out=len(self.vocab(dls)),
            pretrained=state is not None,
            normalize=False,
            cut=arch.encoder,
            splitter=arch.unet_splitter,
            **kwargs,
        )

    def predicted(self, activations: Tensor, settings: TrainSettings) -> Tensor:
        return activations.argmax(dim=1)

    def title(self, target: Any, vocab: Sequence[str]) -> str:
        return ""

    def evaluation_plots(
        self, learn: Learner, dataset: Dataset, settings: TrainSettings
    ) -> dict[str, Figure]:
        from visionkit.evaluation.masks import predict_masks
        from visionkit.reporting import segmentation

        predictions = predict_masks(learn, dataset, self.vocab(learn.dls))
        return {
            "per_class": segmentation.per_class(predictions),
            "examples": segmentation.mask_examples(predictions, worst=False),
            "worst": segmentation.mask_examples(predictions, worst=True),
        }


def mask_codes(transforms: Any) -> list[str]:
    """The codes that fastai's `AddMaskCodes` among `transforms` holds."""
    from fastai.vision.core import AddMaskCodes

    return next(list(transform.codes) for transform in transforms if isinstance(transform, AddMaskCodes))
