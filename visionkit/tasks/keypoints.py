"""Points in an image, one or several, the same ones in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastai.learner import Learner, Metric
from fastai.losses import MSELossFlat
from torch import Tensor

from visionkit.data.points import point_names
from visionkit.errors import UsageError
from visionkit.evaluation.points import PixelError
from visionkit.models.heads import PointOutput
from visionkit.tasks.base import Task
from visionkit.tasks.classifier import classifier_learner

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset
    from visionkit.models.architectures import Architecture
    from visionkit.settings import TrainSettings


class Keypoints(Task):
    """Regression of x and y of every point, mean squared error, and the mean distance in pixels.

    The network's outputs are x and y of the first point, then of the next, from -1 to 1 over what it sees;
    the error is in pixels of the images as stored, whatever size the network sees them at.
    """

    name = "keypoints"
    headline = "pixel_error"
    headline_lower_is_better = True

    def vocab(self, dls: DataLoaders) -> list[str]:
        """The names of the points; every point has two outputs."""
        return point_names(dls)

    def outputs(self, vocab: Sequence[str]) -> int:
        return 2 * len(vocab)

    def loss(self, settings: TrainSettings, vocab: Sequence[str], weights: Tensor | None = None) -> Any:
        return MSELossFlat()

    def metrics(self, settings: TrainSettings, vocab: Sequence[str]) -> list[Metric]:
        return [PixelError()]

    def learner(
        self, dls: DataLoaders, arch: Architecture, settings: TrainSettings, **kwargs: Any
    ) -> Learner:
        """Fastai's `vision_learner` on the body of `arch`, frozen where it starts from `state`.

        Raises:
            UsageError: a batch transform that leaves points where they were, or a vision transformer that
                cannot take images of this size.
        """
        _refuse_random_crops(dls)
        learn = classifier_learner(
            dls,
            arch,
            n_out=self.outputs(self.vocab(dls)),
            dropout=getattr(settings, "dropout", 0.5),
            sizes=tuple(dict.fromkeys((*settings.sizes, *_resized(dls)))),
            **kwargs,
        )
        learn.model[1][-1] = PointOutput(learn.model[1][-1])
        return learn

    def predicted(self, activations: Tensor, settings: TrainSettings) -> Tensor:
        """Points of -1 to 1, shape (images, points, 2)."""
        return activations.float().reshape(len(activations), -1, 2)

    def title(self, target: Any, vocab: Sequence[str]) -> str:
        """Nothing: points are drawn into the image."""
        return ""

    def evaluation_plots(
        self, learn: Learner, dataset: Dataset, settings: TrainSettings
    ) -> dict[str, Figure]:
        from visionkit.evaluation.points import predict_points
        from visionkit.reporting import keypoints

        predictions = predict_points(learn, dataset, self.vocab(learn.dls))
        return {
            "errors": keypoints.error_histogram(predictions),
            "examples": keypoints.point_examples(predictions, worst=False),
            "worst": keypoints.point_examples(predictions, worst=True),
        }


def _resized(dls: DataLoaders) -> tuple[int, ...]:
    """Width and height that items are resized to; nothing where they are not."""
    from fastai.vision.augment import Resize

    return next((tuple(fs.size) for fs in dls.valid.after_item.fs if isinstance(fs, Resize)), ())


def _refuse_random_crops(dls: DataLoaders) -> None:
    """Of fastai's batch transforms this one crops the image and leaves the points (fastai 2.8)."""
    from fastai.vision.augment import RandomResizedCropGPU

    if any(isinstance(transform, RandomResizedCropGPU) for transform in dls.after_batch.fs):
        raise UsageError(
            "the recipe crops batches (RandomResizedCropGPU, or aug_transforms with min_scale), which does "
            "not move the points. Crop items instead, with RandomResizedCrop or Resize."
        )
