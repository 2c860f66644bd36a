"""A sheet of predictions on images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visionkit.checks.scan import scan_images
from visionkit.evaluation.unlabelled import predict_unlabelled
from visionkit.progress import Silence
from visionkit.reporting.sheets import Tile, sheet, thumbnail
from visionkit.reporting.text import shown_name

if TYPE_CHECKING:
    from fastai.learner import Learner
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset

EXAMPLES = 12


def unlabelled_examples(learn: Learner, dataset: Dataset, images: Sequence[Path]) -> Figure | None:
    """Images spread evenly over `images`, each with the predicted label and its probability.

    Those that do not decode are left out; None where none does.
    """
    places = np.linspace(0, len(images) - 1, min(EXAMPLES, len(images))).round().astype(int)
    chosen = scan_images([images[place] for place in places], None, Silence())
    shown = [facts.path for facts in chosen if facts.fault is None]
    if not shown:
        return None
    vocab = dataset.task.vocab(learn.dls)
    tiles = [
        Tile(thumbnail(image), f"{shown_name(image.name)}\n{shown_name(vocab[row.argmax()])} {row.max():.0%}")
        for image, row in zip(shown, predict_unlabelled(learn, shown))
    ]
    return sheet(
        tiles, f"{dataset.recipe.name}: test images ({len(images):,} in all), the answer and how sure it is"
    )
