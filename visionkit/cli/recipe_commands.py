"""What the command line does with a recipe: train it, show its data, search its learning rate."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from visionkit.cli.common_options import (
    DataOption,
    DryRunOption,
    ListOption,
    OutOption,
    SampleOption,
    SettingsOption,
)
from visionkit.distributed.started import follows, started_together

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.recipe import Recipe
    from visionkit.runs import Run
    from visionkit.settings import TrainSettings
    from visionkit.settings_file import SettingsFile


@dataclass(frozen=True)
class Call:
    """A recipe with the settings in force: what the flags and the settings file make of it."""

    recipe: Recipe
    settings: TrainSettings
    file: SettingsFile

    @classmethod
    def read(cls, recipe: Recipe, flags: Mapping[str, Any], sample: bool, settings_file: Path | None) -> Call:
        """Check the settings file as a whole and lay the flags over it. Raises UsageError."""
        from visionkit.registry import get_recipe, recipe_names
        from visionkit.settings_file import SettingsFile, resolve

        file = SettingsFile.read(settings_file)
        if file.path is not None:
            installed = [get_recipe(name) for name in recipe_names()]
            file.check([*(other for other in installed if other.name != recipe.name), recipe])
        return cls(recipe, resolve(recipe, flags, file, sample), file)

    def dataset(self, data: str | None, sample: bool) -> Dataset:
        """The checked data set."""
        from visionkit.cli.progress import terminal_progress
        from visionkit.data.dataset import Dataset
        from visionkit.sources import locate

        with terminal_progress() as progress:
            store = self.file.store(progress)
            place = locate(self.recipe.sourced(self.settings), data, sample, self.settings.seed, store)
            return Dataset.open(self.recipe, self.settings, place.folder, store)


def train(
    recipe: Recipe,
    flags: Mapping[str, Any],
    *,
    data: DataOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    listed: ListOption = False,
    dry_run: DryRunOption = False,
    settings_file: SettingsOption = None,
) -> None:
    """Train through all stages and write a run folder."""
    call = Call.read(recipe, flags, sample, settings_file)
    if listed and recipe.listing is not None:
        from visionkit.cli.progress import terminal_progress

        with terminal_progress(stderr=True) as progress:
            text = recipe.listing(call.settings, call.file.store(progress))
        typer.echo(text)
        return
    if dry_run:
        _rehearse(call, data, sample)
        return
    start_together(call.settings.gpus, call.settings.device)
    from visionkit.cli.progress import terminal_reporter, wait_message

    with wait_message("loading fastai …"):
        from visionkit.training.train import train as train_recipe

    with terminal_reporter() as reporter:
        run = train_recipe(
            recipe,
            call.settings,
            data=data,
            sample=sample,
            out=out,
            runs_root=call.file.paths().runs,
            store=call.file.store(reporter),
            reporter=reporter,
        )
    if not follows():
        print_done(run)


def start_together(count: int, device: str) -> None:
    """Run this very call in `count` processes, and exit as they did; in one of them, go on.

    Of those only the first prints; errors are told by whoever has them.

    Raises:
        UsageError: there are fewer GPUs.
    """
    if follows():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (until the process ends)
    if started_together() > 1 or count == 1:
        return
    from visionkit.distributed.launching import check_processes, launch

    check_processes(count, device)
    raise typer.Exit(launch(count, sys.argv[1:]))


def _rehearse(call: Call, data: str | None, sample: bool) -> None:
    """Print what a training would do, and its stages' times."""
    from visionkit.cli.progress import terminal_progress, wait_message
    from visionkit.progress import duration

    with wait_message("loading fastai …"):
        from visionkit.training.rehearsing import rehearse

    with terminal_progress(stderr=True) as progress:
        store = call.file.store(progress)
        found = rehearse(call.recipe, call.settings, data=data, sample=sample, store=store)
    typer.echo(found.text)
    if not found.times:
        typer.echo("Nothing was fetched or trained. visionkit data fetches; then --dry-run tells the times.")
        return
    if found.first_pass:
        typer.echo(f"first pass about {duration(found.first_pass)}: all images are decoded once")
    for each in found.times:
        epochs = f"{each.stage.epochs} epoch{'' if each.stage.epochs == 1 else 's'}"
        pace = f"{epochs} of {duration(each.epoch_seconds)}, {each.images_per_s:,.0f} images/s"
        typer.echo(f"stage {each.stage.number}    about {duration(each.seconds)}: {pace}")
    typer.echo(
        f"in all     about {duration(found.seconds)}, by a few timed steps of each stage; nothing was trained"
    )
    if call.settings.gpus > 1:
        typer.echo(f"processes  {call.settings.gpus}; the times are those of one")


def print_done(run: Run) -> None:
    """What a finished training came to, and where it is."""
    from visionkit.cli.tables import print_class_report

    print_class_report(run)
    figures = "  ".join(f"{name} {value:.4f}" for name, value in run.metrics.items())
    kind = "synthetic validation images" if run.info["synthetic"] else "validation images"
    typer.echo(
        f"done       {figures} on {run.info['data']['valid']:,} {kind}, {run.info['seconds']:.0f} s in all"
    )
    report = " and report.html" if (run.path / "report.html").is_file() else ""
    typer.echo(f"           {run.path}: model, history, plots{report}. visionkit runs lists all.")


def show(
    recipe: Recipe,
    flags: Mapping[str, Any],
    *,
    data: DataOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Write a sheet of augmented training examples as PNG or SVG."""
    call = Call.read(recipe, flags, sample, settings_file)
    target = picture_path(out, f"{recipe.name}-examples.png")
    from fastai.torch_core import set_seed

    from visionkit.devices import resolve_device
    from visionkit.reporting.sheets import example_sheet
    from visionkit.reporting.style import save_figure

    device = resolve_device(call.settings.device)
    dataset = call.dataset(data, sample)
    set_seed(call.settings.seed)
    dls = dataset.dataloaders(call.settings.size, device, fill=False)
    title = f"{recipe.name}: training examples, augmented, {call.settings.size} px"
    save_figure(example_sheet(dls, dataset.task, title), target, dataset.synthetic)
    typer.echo(target)


def lr_find(
    recipe: Recipe,
    flags: Mapping[str, Any],
    *,
    data: DataOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Search the learning rate: write the curve as PNG or SVG, print the suggestions."""
    call = Call.read(recipe, flags, sample, settings_file)
    target = picture_path(out, f"{recipe.name}-lr-find.png")
    from fastai.torch_core import set_seed

    from visionkit.devices import resolve_device
    from visionkit.reporting.curves import rate_curve
    from visionkit.reporting.style import save_figure
    from visionkit.training.hardware import resolve_workers, shared_cores
    from visionkit.training.learner import build_learner
    from visionkit.training.rates import suggest_rates

    device = resolve_device(call.settings.device)
    dataset = call.dataset(data, sample)
    set_seed(call.settings.seed)
    cached = dataset.fill_cache([call.settings.size])
    with shared_cores(device, 0 if cached else resolve_workers("auto", device)):
        dls = dataset.dataloaders(call.settings.size, device, fill=False)
        test = suggest_rates(build_learner(dataset.recipe, dls, call.settings, quiet=True))
    title = f"{recipe.name}: learning-rate search, {call.settings.arch} at {call.settings.size} px"
    save_figure(rate_curve(test, title), target, dataset.synthetic)
    for name, rate in test.suggestions.items():
        typer.echo(f"{name:10s} {rate:.2e}")
    typer.echo(target)


def picture_path(out: Path | None, default: str) -> Path:
    """Where a picture goes: `out`, or `default` in the current folder.

    Raises:
        UsageError: `out` is a folder, or is not called .png or .svg.
    """
    from visionkit.errors import UsageError

    target = out or Path(default)
    if target.is_dir() or target.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"--out {target}: name a picture that ends in .png or .svg.")
    return target
