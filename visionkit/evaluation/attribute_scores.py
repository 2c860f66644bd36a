"""The figures by which FashionAI's attributes are judged, besides accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.data.fashionai import maybe_places

if TYPE_CHECKING:
    from fastai.learner import Learner

    from visionkit.data.dataset import Dataset


def attribute_scores(learn: Learner, dataset: Dataset) -> dict[str, float]:
    """`average_precision` and `reciprocal_rank`; accuracy and average precision again with crops.

    The latter are called `accuracy_tta` and `average_precision_tta`, and are there if the settings ask for
    crops by `tta_crops`. `dataset` is one whose items are annotated images.
    """
    # Imported late, so that the recipe can name this function without waiting for NumPy and torch.
    from visionkit.evaluation.average_precision import average_precision, reciprocal_rank
    from visionkit.evaluation.crops import crop_probabilities
    from visionkit.evaluation.predictions import predict_validation

    vocab = dataset.task.vocab(learn.dls)
    maybe = maybe_places([dataset.items[index] for index in dataset.valid], vocab)
    plain = predict_validation(learn, dataset, vocab)
    figures = {
        "average_precision": average_precision(plain.probabilities, plain.targets, maybe),
        "reciprocal_rank": reciprocal_rank(plain.probabilities, plain.targets),
    }
    crops = int(getattr(dataset.settings, "tta_crops", 0))
    if crops:
        mean = crop_probabilities(learn, dataset, dataset.settings.sizes[-1], crops)
        figures["accuracy_tta"] = float((mean.argmax(axis=1) == plain.targets).mean())
        figures["average_precision_tta"] = average_precision(mean, plain.targets, maybe)
    return figures
