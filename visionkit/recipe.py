"""Recipe: what a data set is and how it is trained; everything else is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from visionkit.settings import TrainSettings

if TYPE_CHECKING:
    from fastai.data.block import DataBlock
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    from visionkit.data.dataset import Dataset
    from visionkit.inference.submission import Submission
    from visionkit.runs import Run
    from visionkit.sources import Source, Store

TaskName = Literal["single-label", "multi-label", "segmentation", "keypoints"]


SMALL = {"then": (), "freeze_epochs": (0,), "arch": "resnet18", "pretrained": False}


@dataclass(frozen=True)
class Sample:
    """A small synthetic data set in the layout of the real one, and the settings that suit it.

    Args:
        draw: `draw(folder, seed)` fills an empty folder; a function, or its place as
            "package.module:function".
        own: overrides of the recipe's defaults while `--sample` is in force, besides `SMALL`.
    """

    draw: Callable[[Path, int], None] | str
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """All overrides: samples are small, and train a small network from scratch at one size."""
        return {**SMALL, **self.own}

    def __call__(self, folder: Path, seed: int) -> None:
        """Fill the empty `folder`; the same seed gives the same files."""
        draw = resolve_name(self.draw) if isinstance(self.draw, str) else self.draw
        draw(folder, seed)


@dataclass(frozen=True)
class Recipe:
    """A task, a data set and typed defaults.

    Args:
        name: what the command line calls it.
        task: which loss, metrics, decoding and plots it gets.
        dataset: the data set's name for people.
        licence: under which terms the data may be used.
        headline: the reference result, with its source.
        settings: defaults, and the recipe's own options.
        source: where the data set comes from; None where every user brings their own.
        datablock: `datablock(path, settings)` makes fastai's DataBlock for the data in `path`;
            `settings.size` is the size of the stage at hand.
        sample: the drawn stand-in for `--sample`.
        size: how large the data set is, for people, such as "0.8 GB".
        task_of: `task_of(path, settings)` tells the task where that depends on the data.
        source_of: `source_of(settings)` makes the source where that depends on the settings.
        listing: `listing(settings, store)` is the text that `--list` prints, where there is something to
            choose from.
        where: where users get the data set, in words, if there is no source.
        remark: `remark(dataset)` is what a training says of the data set before it starts, and a check
            besides what it finds; "" for nothing.
        scores: `scores(learn, dataset)` gives further validation figures of the trained model, by name.
        test_part: `test_part(folder, settings)` gives the labelled test images, each with its target, which
            take no part in a training; empty where the data set has none.
        submission: which test images a competition asks about, and in which form.
        streamed: the images may be too many, or too far away, for a look at each before a training.
    """

    name: str
    task: TaskName
    dataset: str
    licence: str
    headline: str
    source: Source | None
    datablock: Callable[[Path, Any], DataBlock]
    settings: type[TrainSettings] = TrainSettings
    sample: Sample | None = None
    size: str = ""
    task_of: Callable[[Path, Any], TaskName] | None = None
    source_of: Callable[[Any], Source] | None = None
    listing: Callable[[Any, Store], str] | None = None
    where: str = ""
    remark: Callable[[Dataset], str] | None = None
    scores: Callable[[Learner, Dataset], dict[str, float]] | None = None
    test_part: Callable[[Path, Any], list[tuple[Path, Any]]] | None = None
    submission: Submission | None = None
    streamed: bool = False

    def sourced(self, settings: TrainSettings) -> Recipe:
        """This recipe, with the source that the settings call for."""
        return self if self.source_of is None else replace(self, source=self.source_of(settings))

    def at(self, path: Path, settings: TrainSettings) -> Recipe:
        """This recipe, with the task that the data in `path` calls for."""
        return self if self.task_of is None else replace(self, task=self.task_of(path, settings))

    def resolved(self, sample: bool = False, **options: Any) -> TrainSettings:
        """The recipe's settings with `options` over them; settings.ini plays no part here."""
        from visionkit.settings_file import SettingsFile, resolve

        return resolve(self, options, SettingsFile(), sample)

    def dataloaders(
        self, data: Path | str | None = None, *, sample: bool = False, **options: Any
    ) -> DataLoaders:
        """Fastai's DataLoaders at `size`, from a checked data set.

        Args:
            data: the data set's folder, or the name of a source such as "fastai:PETS"; without it the
                recipe's own source is fetched.
            sample: draw and use the synthetic sample instead.
            options: any setting of the recipe, such as `size=128`.
        """
        from visionkit.data.dataset import Dataset
        from visionkit.sources import locate
        from visionkit.sources.base import Store
        from visionkit.training.notebook import default_reporter

        settings = self.resolved(sample, **options)
        store = Store(progress=default_reporter())
        place = locate(self.sourced(settings), data, sample, settings.seed, store)
        return Dataset.open(self, settings, place.folder, store).dataloaders(settings.size)

    def learner(self, dls: DataLoaders, **options: Any) -> Learner:
        """Fastai's Learner for `dls` of this recipe, with the task's loss and metrics.

        The settings are those that `dls` was made with; `options` change them.
        """
        from visionkit.training.learner import build_learner

        return build_learner(
            getattr(dls, "recipe", self), dls, getattr(dls, "settings", self.resolved()).replaced(**options)
        )

    def train(
        self,
        data: Path | str | None = None,
        *,
        sample: bool = False,
        out: Path | str | None = None,
        **options: Any,
    ) -> Run:
        """Train through all stages and return the run: what `visionkit NAME` does."""
        from visionkit.training.train import train

        return train(self, self.resolved(sample, **options), data=data, sample=sample, out=out)
