"""One stage of a training after the other, each with its size, rates and batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fastai.learner import Learner

from visionkit.data.dataset import Dataset
from visionkit.models.architectures import find_architecture
from visionkit.training.compiling import compiled
from visionkit.training.learner import normalize
from visionkit.training.memory import ran_out_of_memory
from visionkit.training.rates import suggest_rates
from visionkit.training.recording import Recording
from visionkit.training.sized import BatchSizes, out_of_memory
from visionkit.training.stages import Stage


class StageTraining:
    """Trains the stages of `dataset` with `learn`.

    Args:
        learn: the recipe's Learner; goes on from stage to stage with the weights as they are.
        dataset: gives DataLoaders and settings.
        recording: a callback of `learn`.
        note: told about rates and batch sizes that are found out.
        batch_sizes: of the first stages, for `--bs auto`; see `BatchSizes`.
    """

    def __init__(
        self,
        learn: Learner,
        dataset: Dataset,
        recording: Recording,
        note: Callable[[str], None],
        batch_sizes: Sequence[int] = (),
    ) -> None:
        self.learn, self.dataset, self.recording, self.note = learn, dataset, recording, note
        self.settings = dataset.settings
        self.sizes = BatchSizes(len(dataset.train), note, batch_sizes)

    def train(self, stage: Stage) -> None:
        """One `fit_one_cycle` at the stage's size.

        Raises:
            VisionkitError: memory runs out, or the network cannot be compiled.
        """
        if self.learn.dls.settings.size != stage.size:
            switch_size(self.learn, self.dataset, stage.size)
        if stage.frozen:
            self.learn.freeze()
        else:
            self.learn.unfreeze()
        if self.settings.bs != "auto":
            try:
                self._fit(stage)
            except Exception as error:
                if ran_out_of_memory(error):
                    raise out_of_memory(self.learn.dls.train.bs, stage) from error
                raise
            return

        def fit(bs: int) -> None:
            dataset = replace(self.dataset, settings=self.settings.replaced(bs=bs))
            switch_size(self.learn, dataset, stage.size)
            self._fit(stage)

        self.sizes.train(self.learn, stage, fit, lambda: self.recording.forget(stage))

    def _fit(self, stage: Stage) -> None:
        self.recording.stage = None  # a search for a rate is not recorded
        lr = stage.lr
        if lr is None:
            lr = suggest_rates(self.learn).valley
            self.note(f"stage {stage.number}: lr_find's valley is {lr:.2g}")
        self.recording.stage = stage
        with self.learn.no_logging(), compiled(self.learn.model, self.settings.compile):
            self.learn.fit_one_cycle(stage.epochs, stage.max_rate(lr))
        self.recording.stage = None


def switch_size(learn: Learner, dataset: Dataset, size: int) -> None:
    """Go on with images of `size` pixels: new DataLoaders, normalised as before; the weights stay."""
    dls = dataset.dataloaders(size, learn.dls.device, fill=False)
    normalize(dls, *find_architecture(learn.dls.settings.arch).normalization)
    learn.dls = dls
