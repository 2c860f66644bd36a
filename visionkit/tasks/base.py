"""The hooks of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner, Metric
    from matplotlib.figure import Figure
    from torch import Tensor

    from visionkit.data.dataset import Dataset
    from visionkit.models.architectures import Architecture
    from visionkit.settings import TrainSettings


class Task(ABC):
    """Loss, metrics, decoding and plots of one kind of prediction."""

    name: ClassVar[str]
    headline: ClassVar[str]
    """The metric that runs are compared by."""
    headline_lower_is_better: ClassVar[bool] = False
    """Whether it is an error; else higher is better."""

    def check(self, dataset: Dataset) -> None:  # noqa: B027  (not every task has something to refuse)
        """Raise `DataError` where the labels of `dataset` cannot be trained on."""

    @abstractmethod
    def vocab(self, dls: DataLoaders) -> list[str]:
        """Names of classes, tags, codes or points, in the order of the network's outputs."""

    def outputs(self, vocab: Sequence[str]) -> int:
        """How many outputs the network has, for each pixel where the task is about pixels."""
        return len(vocab)

    @abstractmethod
    def loss(self, settings: TrainSettings, vocab: Sequence[str], weights: Tensor | None = None) -> Any:
        """Fastai's loss for logits, which also knows activation and decoding.

        `weights` are those of the classes, in the order of `vocab`; `visionkit.tasks.options` says which
        tasks take them.
        """

    @abstractmethod
    def metrics(self, settings: TrainSettings, vocab: Sequence[str]) -> list[Metric]:
        """Validation metrics, whose names are those of history.csv and run.json."""

    @abstractmethod
    def learner(
        self, dls: DataLoaders, arch: Architecture, settings: TrainSettings, **kwargs: Any
    ) -> Learner:
        """Fastai's Learner with `arch` as body."""

    @abstractmethod
    def predicted(self, activations: Tensor, settings: TrainSettings) -> Tensor:
        """The decision for activations (probabilities): class indices, 0/1 tags, mask codes, or points."""

    @abstractmethod
    def title(self, target: Any, vocab: Sequence[str]) -> str:
        """What stands over an image whose target (as the DataLoaders give it) is `target`; empty for
        masks and points.
        """

    @abstractmethod
    def evaluation_plots(
        self, learn: Learner, dataset: Dataset, settings: TrainSettings
    ) -> Mapping[str, Figure | str]:
        """Plots of the predictions on the validation set, and tables as CSV text: file stem -> either."""
